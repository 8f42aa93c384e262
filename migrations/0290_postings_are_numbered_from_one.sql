-- A number that no account gives was refused while postings were looked at together, and is again; and one that is given twice, whoever gave it first.
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
        when p.posting_number not between 1 and a.posting_count or p.posting_number = a.posting_count and p.balance_minor <> a.posted_minor
          or exists (
            select from ledger.posting other
            where other.account_id = p.account_id and other.posting_number = p.posting_number
              and (other.entry_id, other.booked_at) <> (p.entry_id, p.booked_at)) then '4posting_agrees_with_its_account'
      end) as problem
    from ledger.posting p left join ledger.account a on a.account_id = p.account_id and a.currency = p.currency
    where p.entry_id = new.entry_id group by p.currency) judged;
  if wrong is not null then
    raise exception 'a posting is not sound: %', substr(wrong, 2)
      using errcode = '23514', constraint = substr(wrong, 2), schema = 'ledger', table = 'posting';
  end if;
  return null;
end $$;
