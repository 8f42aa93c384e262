-- What is asked of each statement is asked by one query for entries and one for postings. The checks of these tables are asked
-- there as well: as constraints of the table they would be read and made ready anew for every statement.
alter table ledger.entry
  drop constraint entry_id_is_prefixed,
  drop constraint entry_kind_is_known,
  drop constraint entry_of_one_currency_names_it,
  drop constraint entry_reversal_names_what_it_reverses,
  drop constraint entry_value_date_is_not_after_booking;
alter table ledger.posting drop constraint posting_amount_is_not_zero;
alter table ledger.movement drop constraint movement_request_hash_is_sha_256;

create or replace function ledger.entry_is_sound() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Each entry is looked at for itself; the first that is wrong is named, and then whatever the others are.
  wrong text;
  reversals boolean;
  over_id text;
begin
  select min(problem), bool_or(reverses) into wrong, reversals
  from (
    select n.reverses is not null as reverses, case
        when not (starts_with(n.entry_id, 'ent_') and length(n.entry_id) = 36) then 'entry_id_is_prefixed'
        when n.kind not in ('opening', 'transfer', 'reversal', 'exchange', 'closing') then 'entry_kind_is_known'
        when n.currency is null and n.kind not in ('exchange', 'reversal', 'transfer') then 'entry_of_one_currency_names_it'
        when (n.kind = 'reversal') <> (n.reverses is not null) then 'entry_reversal_names_what_it_reverses'
        when n.value_date > (n.booked_at at time zone 'Europe/London')::date then 'entry_value_date_is_not_after_booking'
        -- One posting alone would not sum to zero.
        when not exists (select from ledger.posting p where p.entry_id = n.entry_id) then 'entry_has_two_postings'
      end as problem
    from new_entry n) judged;
  -- All that was ever taken back of an entry, account by account, is at most what it booked, and the other way round.
  if reversals and wrong is null then
    perform from ledger.entry e where e.entry_id in (select reverses from new_entry) order by e.entry_id for no key update;
    select n.reverses into over_id
    from (select distinct reverses from new_entry where reverses is not null) n
      left join ledger.entry e on e.entry_id = n.reverses
      left join lateral (
        select p.account_id, sum(p.amount_minor) as remaining, coalesce(sum(p.amount_minor) filter (where p.entry_id = n.reverses), 0) as booked
        from (select n.reverses union all select back.entry_id from ledger.entry back where back.reverses = n.reverses) part (entry_id)
          join ledger.posting p on p.entry_id = part.entry_id
        group by p.account_id) left_over on true
    where e.entry_id is null or e.kind = 'reversal' or remaining * booked < 0 or abs(remaining) > abs(booked) limit 1;
    if found then wrong := 'entry_is_reversed_once_over'; end if;
  end if;
  if wrong is not null then
    raise exception 'an entry is not sound: %', wrong using errcode = '23514', constraint = wrong, schema = 'ledger', table = 'entry';
  end if;
  return null;
end $$;

create or replace function ledger.posting_is_sound() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wrong text;
begin
  -- The least of the words is named, so they are numbered in the order in which they matter.
  select min(case when problem is not null then problem when total <> 0 then '3entry_balances' end) into wrong
  from (
    select sum(n.amount_minor) as total, min(case
        when a.account_id is null then '1posting_currency_matches_account'
        when n.amount_minor = 0 then '1posting_amount_is_not_zero'
        when e.entry_id is null then '2posting_belongs_to_an_entry'
        when n.posting_number > a.posting_count or n.posting_number = a.posting_count and n.balance_minor <> a.posted_minor
          or n.posting_number <= a.posting_count - (select count(*) from new_posting) then '4posting_agrees_with_its_account'
      end) as problem
    from new_posting n
      left join ledger.account a on a.account_id = n.account_id and a.currency = n.currency
      left join ledger.entry e on e.entry_id = n.entry_id
    group by n.entry_id, n.currency) judged;
  if wrong is not null then
    -- Disagreement with an account says less than that the entry does not balance.
    if wrong like '4%' and exists (select from new_posting group by entry_id, currency having sum(amount_minor) <> 0) then wrong := '3entry_balances'; end if;
    raise exception 'a posting is not sound: %', substr(wrong, 2)
      using errcode = '23514', constraint = substr(wrong, 2), schema = 'ledger', table = 'posting';
  end if;
  return null;
end $$;

-- The same as ledger.write for one transfer between two accounts, when nothing else waits: what a set of movements needs to be
-- decided and counted together would be most of what one costs. A key that was used before is left to ledger.write: here it is
-- an error, movement_is_made_once, and nothing has happened.
create function ledger.write_transfer(
  p_now timestamptz, p_key uuid, p_request_hash bytea, p_entry_id text, p_kind text, p_from text, p_to text,
  p_amount_minor numeric, p_currency text, p_description text, p_reference text, p_value_date date,
  p_debtor_name text, p_debtor_scheme_name text, p_debtor_identification text,
  p_creditor_name text, p_creditor_scheme_name text, p_creditor_identification text,
  p_event_id text, p_event_type text, p_record_id text, p_actor text, p_interaction_id text, p_facts text
) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  debtor ledger.account;
  creditor ledger.account;
  other ledger.account;
  amount numeric(38,0) := p_amount_minor;
  declined text;
begin
  if (p_amount_minor >= 1 and p_amount_minor < 1e37 and p_amount_minor = amount and p_from <> p_to) is not true then
    raise exception 'not a transfer of a whole amount between two accounts'
      using errcode = '23514', constraint = 'amount_is_a_positive_whole_number', schema = 'ledger', table = 'posting';
  end if;
  for other in select * from ledger.account where account_id in (p_from, p_to) order by account_id for no key update loop
    if other.account_id = p_from then debtor := other; else creditor := other; end if;
  end loop;

  declined := case
    when debtor.account_id is null then 'account_not_found'
    when debtor.currency <> p_currency then 'currency_mismatch'
    when debtor.status <> 'open' then 'account_not_usable'
    when creditor.account_id is null then 'account_not_found'
    when creditor.currency <> p_currency then 'currency_mismatch'
    when creditor.status = 'closed' then 'account_not_usable'
    when debtor.kind = 'customer' and debtor.posted_minor - debtor.held_minor + debtor.overdraft_minor < amount then 'insufficient_funds'
  end;
  if declined is not null then
    -- Declined now, it may have been made before.
    if exists (select from ledger.movement where movement_key = p_key) then
      raise exception 'the key was used before' using errcode = '23505', constraint = 'movement_is_made_once', schema = 'ledger', table = 'movement';
    end if;
    return declined;
  end if;

  with made as (
    insert into ledger.movement (movement_key, request_hash, made, made_at) values (p_key, p_request_hash, p_entry_id, p_now)
  ), entered as (
    insert into ledger.entry (entry_id, kind, currency, description, reference, booked_at, value_date)
    values (p_entry_id, p_kind, p_currency, p_description, p_reference, p_now, coalesce(p_value_date, (p_now at time zone 'Europe/London')::date))
  ), posted as (
    insert into ledger.posting (
      account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
      counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
    values
      (p_from, debtor.posting_count + 1, p_entry_id, p_currency, -amount, debtor.posted_minor - amount,
        coalesce(p_creditor_name, creditor.holder_name),
        case when p_creditor_identification is not null then p_creditor_scheme_name else (ledger.party_of(creditor)).scheme_name end,
        coalesce(p_creditor_identification, (ledger.party_of(creditor)).identification), greatest(p_now, debtor.last_booked_at)),
      (p_to, creditor.posting_count + 1, p_entry_id, p_currency, amount, creditor.posted_minor + amount,
        coalesce(p_debtor_name, debtor.holder_name),
        case when p_debtor_identification is not null then p_debtor_scheme_name else (ledger.party_of(debtor)).scheme_name end,
        coalesce(p_debtor_identification, (ledger.party_of(debtor)).identification), greatest(p_now, creditor.last_booked_at))
  ), balanced as (
    update ledger.account
    set posted_minor = posted_minor + case account_id when p_from then -amount else amount end, posting_count = posting_count + 1,
      last_booked_at = greatest(p_now, last_booked_at)
    where account_id in (p_from, p_to)
  ), told as (
    insert into events.event (event_id, type, subject, payload, occurred_at, attempts, next_attempt_at)
    values (p_event_id, p_event_type, p_entry_id, p_facts::jsonb, p_now, 0, p_now)
  )
  insert into audit.record (record_id, occurred_at, actor, action, subject, interaction_id, details)
  values (p_record_id, p_now, p_actor, p_event_type, p_entry_id, p_interaction_id, p_facts::jsonb);
  return 'done';
end $$;
revoke execute on function ledger.write_transfer from public;
grant execute on function ledger.write_transfer to bankside_ledger;
