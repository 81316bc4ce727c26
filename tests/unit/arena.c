#include "proto/arena.h"

#include <criterion/criterion.h>
#include <stdalign.h>
#include <stdint.h>

Test(arena, pieces_are_zeroed_aligned_and_apart)
{
	/* Small, large and past a chunk, so that several chunks are made. */
	static const size_t sizes[] = {1, 0, 17, 8000, 9000, 100000, 3, 8192};
	enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
	struct arena arena = {0};
	unsigned char *pieces[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		pieces[i] = arena_alloc(&arena, sizes[i]);
		cr_assert_eq((uintptr_t)pieces[i] % alignof(max_align_t), 0);
		for (size_t at = 0; at < sizes[i]; at++)
			cr_assert_eq(pieces[i][at], 0);
		memset(pieces[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t at = 0; at < sizes[i]; at++)
			cr_assert_eq(pieces[i][at], i + 1);
	}
	arena_fini(&arena);
}

Test(arena, usable_after_fini)
{
	struct arena arena = {0};

	arena_fini(&arena);
	arena_alloc(&arena, 1);
	arena_fini(&arena);
	cr_assert_str_eq(arena_printf(&arena, "again"), "again");
	arena_fini(&arena);
}

Test(arena, texts)
{
	struct arena arena = {0};

	cr_expect_str_eq(arena_strdup(&arena, slice_of("abcdef", 3)), "abc");
	cr_expect_str_eq(arena_strdup(&arena, slice_str(NULL)), "");
	cr_expect_str_eq(arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
	arena_fini(&arena);
}
