-- What tests/bench/scale/run showed to be read from end to end.

-- The newest tenants first.
create index tenants_created_at_idx on tenant.tenants (created_at, id);
