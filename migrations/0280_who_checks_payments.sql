-- Who checks payments is a fact that every process reads, not what one of them was started with: where a check is elsewhere, nothing is posted
-- when it comes, and no worker asks the built-in check instead.
alter table payments.straight_through
  add column check_elsewhere boolean not null default false,
  add constraint straight_through_passes_no_check check (not (is_on and check_elsewhere));

-- A bank begins with payments that wait for the worker, until somebody says that they need not: one that has a check of its own would otherwise have to
-- say so before its first payment. The sandbox says it for its own. Where payments were made, or somebody said how, nothing changes.
update payments.straight_through set is_on = false
where not exists (select from payments.payment) and not exists (select from audit.record where subject = 'payments' and action = 'straight_through.on');

-- All that a worker may say: that there is a check elsewhere. Never that there is none.
-- Answers with what was new: nothing where that was known.
create function payments.leave_to_check_elsewhere() returns text[]
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  earlier payments.straight_through;
begin
  select * into earlier from payments.straight_through for no key update;
  if earlier.check_elsewhere then return '{}'; end if;
  update payments.straight_through set check_elsewhere = true, is_on = false;
  return case when earlier.is_on then array['straight_through.off', 'payment_check.elsewhere'] else array['payment_check.elsewhere'] end;
end $$;
revoke execute on function payments.leave_to_check_elsewhere from public;
grant execute on function payments.leave_to_check_elsewhere to bankside_worker;
