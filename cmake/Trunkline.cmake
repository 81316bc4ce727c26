# How every target of the suite is built, and three functions that keep the
# folders' own files short.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # POSIX and GNU functions of Debian's libc
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_package(PkgConfig REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(Threads REQUIRED)
find_package(nng REQUIRED)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(MSGPACK REQUIRED IMPORTED_TARGET msgpack)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(H2O REQUIRED IMPORTED_TARGET libh2o)

add_library(trunkline_options INTERFACE)
target_include_directories(trunkline_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(trunkline_options INTERFACE _GNU_SOURCE
	TRUNKLINE_VERSION="${PROJECT_VERSION}")
target_compile_options(trunkline_options INTERFACE -Wall -Wextra -Wshadow
	-Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
	-Wformat=2 -Wno-missing-field-initializers -fno-common
	$<$<BOOL:${TRUNKLINE_WERROR}>:-Werror>)
if(TRUNKLINE_SANITIZE)
	target_compile_options(trunkline_options INTERFACE
		-fsanitize=${TRUNKLINE_SANITIZE} -fno-omit-frame-pointer
		-fno-sanitize-recover=all)
	target_link_options(trunkline_options INTERFACE
		-fsanitize=${TRUNKLINE_SANITIZE})
endif()

# A static library of listed sources.
function(trunkline_library name)
	cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
	add_library(${name} STATIC ${ARG_SOURCES})
	target_link_libraries(${name} PUBLIC trunkline_options ${ARG_LIBRARIES})
endfunction()

# A process of the suite.
function(trunkline_program name)
	cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
	add_executable(${name} ${ARG_SOURCES})
	target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES})
	set_target_properties(${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

# A Criterion suite: tests/unit/<name>.c, run as ctest "unit.<name>".
function(trunkline_test name)
	cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
	add_executable(test_${name} ${name}.c ${ARG_SOURCES})
	target_link_libraries(test_${name} PRIVATE ${ARG_LIBRARIES}
		PkgConfig::CRITERION)
	add_test(NAME unit.${name} COMMAND test_${name})
	# Criterion looks at a test's process before LeakSanitizer ends it.
	set_tests_properties(unit.${name} PROPERTIES TIMEOUT 300
		FAIL_REGULAR_EXPRESSION "ERROR: [A-Za-z]+Sanitizer"
		ENVIRONMENT "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0")
endfunction()

# A libFuzzer target: tests/fuzz/<name>.c with seeds in tests/fuzz/corpus/<name>.
# Without TRUNKLINE_FUZZ it is linked to replay.c, which runs the seeds as the
# ctest "fuzz.<name>".
function(trunkline_fuzz name)
	cmake_parse_arguments(ARG "" "" "LIBRARIES" ${ARGN})
	if(TRUNKLINE_FUZZ)
		add_executable(fuzz_${name} ${name}.c)
		target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
	else()
		add_executable(fuzz_${name} ${name}.c replay.c)
		add_test(NAME fuzz.${name} COMMAND fuzz_${name}
			${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
	endif()
	target_link_libraries(fuzz_${name} PRIVATE ${ARG_LIBRARIES})
endfunction()
