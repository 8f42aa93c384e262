-- What deciding on a payment needs to know of accounts, and no more: two questions, each with one answer.

-- Who is paid when a first-party app names an account or beneficiary by its id: the bank's own words, so that the name on the
-- screen is not the app's.
create function consents.payee_of_account(p_account_id text)
returns table (account_id text, currency text, name text, scheme_name text, identification text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select a.account_id, a.currency, party.name, party.scheme_name, party.identification
  from ledger.account a, ledger.party_of(a) party
  where a.account_id = p_account_id and a.kind = 'customer' and a.status <> 'closed'
$$;

-- Which account of this customer a third party means by the debtor it names. Asked only once the customer is known (PIS-07).
create function consents.account_of_customer(p_customer_id text, p_scheme_name text, p_identification text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select account_id from ledger.account
  where customer_id = p_customer_id and kind = 'customer' and case p_scheme_name
    when 'UK.OBIE.SortCodeAccountNumber' then sort_code || account_number = p_identification
    when 'UK.OBIE.IBAN' then iban = upper(replace(p_identification, ' ', ''))
    when 'BANKSIDE.AccountId' then account_id = p_identification
    else false end
$$;
revoke execute on function consents.payee_of_account, consents.account_of_customer from public;
grant execute on function consents.payee_of_account, consents.account_of_customer to bankside_auth_server;

-- Consents that run out are found by their time.
create index consent_cancelled_expiry on consents.consent (expires_at) where status = 'CANC' and expires_at is not null;
create index consent_authorised_payment on consents.consent (authorised_at) where status = 'AUTH' and kind <> 'account_access';
