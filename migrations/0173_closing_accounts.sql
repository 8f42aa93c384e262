-- Closes a customer's account: what is left on it goes to an account that is named, by the last entry it has, and both happen or
-- neither does. Answers with `closed`, or with why not; then nothing has happened. A closed account gives and takes nothing
-- (`account_not_usable`), and has no holds to be captured.
create function ledger.close_account(
  p_account_id text, p_rest_to text, p_entry_id text, p_actor text, p_now timestamptz, out word text, out rest_minor numeric
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  closing ledger.account;
  heir ledger.account;
  locked ledger.account;
begin
  for locked in select * from ledger.account a where a.account_id in (p_account_id, p_rest_to) order by a.account_id for no key update loop
    if locked.account_id = p_account_id then closing := locked; else heir := locked; end if;
  end loop;
  rest_minor := closing.posted_minor;
  word := case
    when closing.account_id is null or closing.kind <> 'customer' then 'account_not_found'
    when closing.status = 'closed' then 'account_closed_already'
    when closing.status <> 'open' then 'account_not_usable'
    when closing.held_minor <> 0 then 'account_has_holds'
    when closing.posted_minor < 0 then 'account_is_overdrawn'
    when closing.posted_minor > 0 and p_rest_to is null then 'rest_needs_an_account'
    when p_rest_to is not null and (heir.status <> 'closed' and heir.currency = closing.currency) is not true then 'rest_account_not_usable'
  end;
  if word is not null then return; end if;

  if closing.posted_minor > 0 then
    select outcome[1] into word from ledger.write(
      p_now, '-infinity', null, null, null, null, array[p_account_id, p_rest_to],
      array[1], array['closing'], array[p_entry_id], null, null, null, array[closing.currency], null, null, null, array['Account closed'], array[p_account_id],
      null, null, null, array[p_actor], null,
      array[1, 1], array[1, 2], array[2, 1], null, array[-closing.posted_minor, closing.posted_minor], null, null, null, null);
    if word <> 'done' then return; end if;
  end if;
  update ledger.account set status = 'closed' where account_id = p_account_id;
  word := 'closed';
end $$;

revoke execute on function ledger.close_account from public;
