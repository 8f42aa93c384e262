-- What the steps of a payment cost beyond what they are.

-- To take a payment for its checks changes nothing that must be asked about; only what leads it on does.
drop trigger payment_moves_forward on payments.payment;
create trigger payment_begins before insert on payments.payment for each row execute function payments.payment_moves_forward();
create trigger payment_moves_forward before update on payments.payment for each row
  when ((old.status, old.step) is distinct from (new.status, new.step) or new.lease <= old.lease)
  execute function payments.payment_moves_forward();

-- Few payments are rejected after they were held: these alone, not copies of all rows that a statement wrote.
drop trigger payment_gives_back on payments.payment;
create or replace function payments.payment_gives_back() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update payments.spent set spent_minor = spent_minor - old.amount_minor, payment_count = payment_count - 1
  where account_id = old.debtor_account_id and hour = date_trunc('hour', old.created_at, 'UTC') and channel = old.channel;
  return null;
end $$;
create trigger payment_gives_back after update on payments.payment for each row
  when (old.status <> 'rejected' and new.status = 'rejected') execute function payments.payment_gives_back();

-- Entries are never removed, and whoever names one here has just written it: reconciliation compares both ways. A key would be looked
-- up for each row, and would lock it.
alter table payments.payment drop constraint payment_entry_id_fkey;
alter table ledger.hold drop constraint hold_entry_id_fkey;
alter table events.notification drop constraint notification_event_id_fkey, drop constraint notification_customer_id_fkey;
-- A regular expression costs more than the row.
alter table payments.payment drop constraint payment_id_is_prefixed,
  add constraint payment_id_is_prefixed check (starts_with(payment_id, 'pay_') and length(payment_id) = 36);
