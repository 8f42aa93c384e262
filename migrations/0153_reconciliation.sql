-- What reconciliation finds and does. An account on which the books do not agree gives and takes nothing until a person lifts that.

-- Why, where it was not the bank's or the customer's own wish. An account that is frozen so is also `frozen`: it gives nothing.
alter table ledger.account add column frozen_for text;

-- A frozen account may be paid into; one whose books do not agree may not: what stands on it is evidence.
create function ledger.account_takes_nothing_until_reconciled() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'account % is frozen: its books do not agree', old.account_id
    using errcode = '23514', constraint = 'account_takes_nothing_until_reconciled', schema = 'ledger', table = 'account';
end $$;
create trigger account_takes_nothing_until_reconciled before update on ledger.account for each row
  when (old.frozen_for is not null and old.posted_minor <> new.posted_minor) execute function ledger.account_takes_nothing_until_reconciled();

-- Customers' accounts only: an own account of the bank that stood still would stop everybody's payments. Answers whether it froze it.
create function ledger.freeze_account(p_account_id text, p_why text) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
  with frozen as (
    update ledger.account set status = 'frozen', frozen_for = p_why
    where account_id = p_account_id and kind = 'customer' and status <> 'closed' and frozen_for is null returning 1)
  select exists (select from frozen)
$$;
-- For a person: no process of the bank is granted this. Answers what it had been frozen for.
create function ledger.lift_freeze(p_account_id text) returns text
language sql security definer set search_path = pg_catalog, pg_temp as $$
  with before as (select account_id, frozen_for from ledger.account where account_id = p_account_id and frozen_for is not null for no key update),
    lifted as (update ledger.account a set status = 'open', frozen_for = null from before b where a.account_id = b.account_id returning b.frozen_for)
  select frozen_for from lifted
$$;

-- What was proven when. A worker takes the whole for itself for an hour; if it dies, another begins again after that.
create table ledger.reconciliation (
  scope           text not null,
  began_at        timestamptz,
  finished_at     timestamptz,
  -- Entries of transactions before this one were looked at.
  settled_before  bigint not null,
  discrepancies   jsonb not null,
  constraint reconciliation_is_one_of_a_scope primary key (scope),
  constraint reconciliation_scope_is_known check (scope in ('whole', 'recent'))
);
insert into ledger.reconciliation (scope, settled_before, discrepancies) values ('whole', 0, '[]'), ('recent', 0, '[]');

revoke execute on function ledger.account_takes_nothing_until_reconciled, ledger.freeze_account, ledger.lift_freeze from public;
grant execute on function ledger.freeze_account to bankside_worker;
grant select, update on ledger.reconciliation to bankside_worker;
