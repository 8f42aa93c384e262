-- Whoever says that it is long from now, or another time than it is, has no partitions made far away, nor any for what is past.
create or replace function housekeeping.make_next_partition(p_now timestamptz) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wanted record;
  at timestamptz;
  covered_to timestamptz;
  asked timestamptz := greatest(least(p_now, statement_timestamp() + interval '1 year'), statement_timestamp());
begin
  -- Others who come meanwhile find it done.
  perform from housekeeping.partitioned_table for update;
  for wanted in select * from housekeeping.partitioned_table order by width, schema_name, table_name loop
    at := date_trunc(wanted.width, asked, 'UTC');
    while at < asked + wanted.made_ahead loop
      covered_to := (
        select before_time from housekeeping.partition p
        where (p.schema_name, p.table_name) = (wanted.schema_name, wanted.table_name) and p.from_time <= at and p.before_time > at);
      if covered_to is null then
        perform housekeeping.make_partition(wanted.schema_name, wanted.table_name, at, housekeeping.bound_after(wanted.width, at));
        return format('%s.%s from %s', wanted.schema_name, wanted.table_name, at);
      end if;
      at := covered_to;
    end loop;
  end loop;
  return null;
end $$;
