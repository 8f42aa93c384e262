-- A transition table is filled whether its trigger fires or not, and a trigger before an update locks each row once more. Every transfer paid
-- for both, and only who writes past the functions has need of them. So each guard looks at a row after it was written: those of entries
-- and postings where bankside_books did not write it, those of accounts where there is something to ask. What they refuse, and by which
-- names, is as before.

-- In the order in which writers lock them.
lock table ledger.account, ledger.entry, ledger.posting in access exclusive mode;

create or replace function ledger.account_takes_nothing_until_reconciled() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.posted_minor <> old.posted_minor then
    raise exception 'account % is frozen: its books do not agree', old.account_id
      using errcode = '23514', constraint = 'account_takes_nothing_until_reconciled', schema = 'ledger', table = 'account';
  end if;
  return null;
end $$;
drop trigger account_takes_nothing_until_reconciled on ledger.account;
create trigger account_takes_nothing_until_reconciled after update of posted_minor on ledger.account
  for each row when (old.frozen_for is not null) execute function ledger.account_takes_nothing_until_reconciled();
drop trigger account_is_well_formed on ledger.account;
create trigger account_is_well_formed after insert or update of account_id, kind, status, customer_id, type_code, sort_code, account_number, overdraft_minor
  on ledger.account for each row execute function ledger.account_is_well_formed();

-- Each partition has the guards of a whole statement for itself; those of a row are its table's.
do $$
declare
  guard record;
begin
  for guard in
    select t.tgname, t.tgrelid::regclass as partition
    from pg_trigger t join pg_inherits i on i.inhrelid = t.tgrelid
    where (i.inhparent, t.tgname) in (('ledger.entry'::regclass, 'entry_is_sound'), ('ledger.posting'::regclass, 'posting_is_sound'))
  loop
    execute format('drop trigger %I on %s', guard.tgname, guard.partition);
  end loop;
end $$;

create or replace function ledger.entry_is_sound() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wrong text := case
    when not (starts_with(new.entry_id, 'ent_') and length(new.entry_id) = 36) then 'entry_id_is_prefixed'
    when new.kind not in ('opening', 'transfer', 'reversal', 'exchange', 'closing') then 'entry_kind_is_known'
    when new.currency is null and new.kind not in ('exchange', 'reversal', 'transfer') then 'entry_of_one_currency_names_it'
    when (new.kind = 'reversal') <> (new.reverses is not null) then 'entry_reversal_names_what_it_reverses'
    when new.value_date > (new.booked_at at time zone 'Europe/London')::date then 'entry_value_date_is_not_after_booking'
    -- One posting alone would not sum to zero.
    when not exists (select from ledger.posting p where p.entry_id = new.entry_id) then 'entry_has_two_postings'
    -- All that was ever taken back of an entry, account by account, is at most what it booked, and the other way round.
    when new.reverses is not null and ledger.reversed_beyond(array[new.reverses]) is not null then 'entry_is_reversed_once_over'
  end;
begin
  if wrong is not null then perform ledger.raise_unsound(wrong, 'entry'); end if;
  return null;
end $$;
drop trigger entry_is_sound on ledger.entry;
create trigger entry_is_sound after insert on ledger.entry
  for each row when (current_user <> 'bankside_books'::text) execute function ledger.entry_is_sound();

-- With a posting, all of its entry are looked at.
create or replace function ledger.posting_is_sound() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wrong text;
begin
  -- The least of the words is named, so they are numbered in the order in which they matter.
  select min(case
      when judged.problem < '2' then judged.problem
      when not exists (select from ledger.entry e where e.entry_id = new.entry_id) then '2posting_belongs_to_an_entry'
      when judged.total <> 0 then '3entry_balances'
      else judged.problem
    end) into wrong
  from (
    select sum(p.amount_minor) as total, min(case
        when a.account_id is null then '1posting_currency_matches_account'
        when p.amount_minor = 0 then '1posting_amount_is_not_zero'
        when p.posting_number > a.posting_count or p.posting_number = a.posting_count and p.balance_minor <> a.posted_minor
          or exists (
            select from ledger.posting other
            where other.account_id = p.account_id and other.posting_number = p.posting_number and other.entry_id <> p.entry_id) then '4posting_agrees_with_its_account'
      end) as problem
    from ledger.posting p left join ledger.account a on a.account_id = p.account_id and a.currency = p.currency
    where p.entry_id = new.entry_id group by p.currency) judged;
  if wrong is not null then
    raise exception 'a posting is not sound: %', substr(wrong, 2)
      using errcode = '23514', constraint = substr(wrong, 2), schema = 'ledger', table = 'posting';
  end if;
  return null;
end $$;
drop trigger posting_is_sound on ledger.posting;
create trigger posting_is_sound after insert on ledger.posting
  for each row when (current_user <> 'bankside_books'::text) execute function ledger.posting_is_sound();
