-- What a statement prepares before it writes anything is most of what one transfer costs: so there is less of it. And its accounts are found in
-- the order of their ids whoever calls: where tables are small, whoever has not said otherwise was given them in the order in which they lie.

-- Whoever replaces what another role owns must be able to act as it.
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('grant bankside_books to %I', current_user); end if;
end $$;

-- A check is read and prepared by every statement that writes to its table, a trigger on a column by those that write that column.
create function ledger.account_held_is_not_negative() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'less than nothing is held on account %', new.account_id
    using errcode = '23514', constraint = 'account_held_is_not_negative', schema = 'ledger', table = 'account';
end $$;
revoke execute on function ledger.account_held_is_not_negative from public;
create trigger account_held_is_not_negative after insert or update of held_minor on ledger.account
  for each row when (new.held_minor < numeric '0') execute function ledger.account_held_is_not_negative();
-- The other is as it was, but for a number that need not be reckoned first. It is looked for in what there is by the next migration, which keeps nobody waiting.
alter table ledger.account drop constraint account_held_is_not_negative, drop constraint account_within_overdraft,
  add constraint account_within_overdraft check (kind <> 'customer' or posted_minor - held_minor + overdraft_minor >= numeric '0') not valid;

-- The same as ledger.write for one transfer between two accounts, when nothing else waits: what a set of movements needs to be
-- decided and counted together would be most of what one costs. It answers 'done'; or the error is transfer_can_be_made (or
-- movement_is_made_once, where the same is made this moment), nothing has happened, and ledger.write says why.
--
-- First the key is looked for and written: within its generation of keys the primary key decides, what was written to those before is
-- seen. Then the accounts are updated, found by their keys and so locked in their order. One that is locked is judged as it is when
-- the lock is had.
create or replace function ledger.write_transfer(
  p_now timestamptz, p_key uuid, p_request_hash bytea, p_entry_id text, p_kind text, p_from text, p_to text,
  p_amount_minor numeric, p_currency text, p_description text, p_reference text, p_value_date date,
  p_debtor_name text, p_debtor_scheme_name text, p_debtor_identification text,
  p_creditor_name text, p_creditor_scheme_name text, p_creditor_identification text,
  p_actor text, p_interaction_id text
) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
begin
  if (p_amount_minor >= 1 and p_amount_minor < 1e37 and p_amount_minor = trunc(p_amount_minor) and p_from <> p_to
    and p_entry_id like 'ent\_________________________________' and p_kind in ('opening', 'transfer')
    and (p_value_date is null or p_value_date <= (p_now at time zone 'Europe/London')::date)) is not true then
    perform ledger.raise_unsound(case
        when (starts_with(p_entry_id, 'ent_') and length(p_entry_id) = 36) is not true then 'entry_id_is_prefixed'
        when (p_kind in ('opening', 'transfer')) is not true then 'entry_kind_is_known'
        when p_value_date > (p_now at time zone 'Europe/London')::date then 'entry_value_date_is_not_after_booking'
        when p_from = p_to then 'transfer_is_between_two_accounts'
        else 'amount_is_a_positive_whole_number'
      end, 'entry');
  end if;

  with made as (
    insert into ledger.movement (movement_key, request_hash, made, made_at)
    select p_key, p_request_hash, p_entry_id, p_now where not exists (select from ledger.movement where movement_key = p_key)
    returning movement_key
  ), moved as (
    update ledger.account
    set posted_minor = posted_minor + case account_id when p_to then p_amount_minor else -p_amount_minor end, posting_count = posting_count + 1,
      last_booked_at = greatest(p_now, last_booked_at)
    where account_id in (p_from, p_to) and exists (select from made) and currency = p_currency
      and case account_id
        when p_to then status <> 'closed'
        else status = 'open' and (kind <> 'customer' or posted_minor - held_minor + overdraft_minor >= p_amount_minor)
      end
    returning account_id, account_id = p_to as is_creditor, posting_count, posted_minor, last_booked_at, holder_name,
      case when sort_code is not null then 'UK.OBIE.SortCodeAccountNumber' when iban is not null then 'UK.OBIE.IBAN' end as scheme_name,
      coalesce(sort_code || account_number, iban) as identification
  ), entered as (
    insert into ledger.entry (entry_id, kind, currency, description, reference, booked_at, value_date, actor, interaction_id)
    values (p_entry_id, p_kind, p_currency, p_description, p_reference, p_now, coalesce(p_value_date, (p_now at time zone 'Europe/London')::date), p_actor, p_interaction_id)
  )
  insert into ledger.posting (
    account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
    counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
  select own.account_id, own.posting_count, p_entry_id, p_currency, case when own.is_creditor then p_amount_minor else -p_amount_minor end,
    own.posted_minor, coalesce(case when own.is_creditor then p_debtor_name else p_creditor_name end, other.holder_name),
    case when case when own.is_creditor then p_debtor_identification else p_creditor_identification end is null then other.scheme_name
      when own.is_creditor then p_debtor_scheme_name else p_creditor_scheme_name end,
    coalesce(case when own.is_creditor then p_debtor_identification else p_creditor_identification end, other.identification), own.last_booked_at
  from moved own join moved other on own.is_creditor <> other.is_creditor;
  if not found then
    raise exception 'the transfer cannot be made, or was made before under this key'
      using errcode = '23514', constraint = 'transfer_can_be_made', schema = 'ledger', table = 'movement';
  end if;
  return 'done';
end $$;

do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('revoke bankside_books from %I', current_user); end if;
end $$;
