-- Where the last rows of a table were not summed up yet, a BRIN index finds them by reading them all. Vacuum sums up ranges that are full
-- some time later; whoever seals has it done when many rows came, for full ranges only: writes to those are over. It waits for
-- no vacuum, which holds the same lock: then the next call does it.
create function audit.sum_up_written_in() returns void language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '20ms' as $$
declare
  found_index record;
  pages_per_range constant integer := 32;
begin
  for found_index in
    select i.indexrelid, pg_relation_size(i.indrelid) / current_setting('block_size')::bigint / pages_per_range as full_ranges
    from pg_index i join pg_class c on c.oid = i.indexrelid and c.relkind = 'i' join pg_am m on m.oid = c.relam and m.amname = 'brin'
      join pg_attribute a on a.attrelid = i.indexrelid and a.attname = 'written_in'
    where i.indrelid in ('ledger.entry'::regclass, 'audit.record'::regclass)
      or i.indrelid in (select relid from pg_partition_tree('ledger.entry') union all select relid from pg_partition_tree('audit.record'))
  loop
    begin
      -- From the newest backwards, up to one that was summed up before.
      for range in reverse found_index.full_ranges - 1 .. 0 loop
        exit when brin_summarize_range(found_index.indexrelid, range * pages_per_range) = 0;
      end loop;
    exception when lock_not_available then null;
    end;
  end loop;
end $$;
revoke execute on function audit.sum_up_written_in from public;
grant execute on function audit.sum_up_written_in to bankside_sealer;
