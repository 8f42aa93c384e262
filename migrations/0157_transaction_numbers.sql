-- written_in is the number of a transaction and what is added to it. Nothing is, until a new log begins: after a restore from a dump
-- PostgreSQL counts anew, and after a failover it counts again what was lost; no number of ours comes twice (bank/audit/begin-log.ts,
-- which changes the defaults of written_in with this).
create table ledger.transaction_numbers (
  only_one boolean primary key,
  added bigint not null,
  constraint transaction_numbers_is_one_row check (only_one),
  constraint transaction_numbers_added_is_never_less check (added >= 0)
);
insert into ledger.transaction_numbers values (true, 0);

-- Of all rows written below, whoever wrote them is done: each was committed, and is seen from here on, or never will be.
create function ledger.settled_before() returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select pg_snapshot_xmin(pg_current_snapshot())::text::bigint + added from ledger.transaction_numbers
$$;
revoke execute on function ledger.settled_before from public;
grant execute on function ledger.settled_before to bankside_sealer, bankside_worker, bankside_ledger;

-- For a person who begins another log, as the owner. From then on numbers are beyond all that are there, and all that were there and
-- were lost: nobody who followed what was made is told less than before. What is being written at this moment is waited for, shortly, and
-- not as long as PostgreSQL waits until it looks for a deadlock.
create function ledger.count_transactions_on() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' as $$
declare
  counted text[];
  counted_table text;
  found bigint;
  highest bigint;
  block constant bigint := 4294967296;
begin
  select array_agg(format('%I.%I', n.nspname, c.relname) order by 1) into counted
  from pg_attribute a join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  where a.attname = 'written_in' and c.relkind in ('r', 'p') and not c.relispartition;
  select greatest(n.added + pg_current_xact_id()::text::bigint, (select max(before_xact) from audit.seal),
    (select max(settled_before) from ledger.reconciliation)) into highest from ledger.transaction_numbers n;
  foreach counted_table in array counted loop
    execute format('lock table %s in access exclusive mode', counted_table);
    execute format('select max(written_in) from %s', counted_table) into found;
    highest := greatest(highest, found);
  end loop;
  highest := (highest / block + 1) * block;
  foreach counted_table in array counted loop
    execute format('alter table %s alter column written_in set default (pg_current_xact_id()::text::bigint + %s)', counted_table, highest);
  end loop;
  update ledger.transaction_numbers set added = highest;
  return highest;
end $$;
revoke execute on function ledger.count_transactions_on from public;
