-- A third party may push what it wants as authorization details, without lodging it first: the authorization server then
-- lodges the same row that the resource API would, when a customer comes to decide. Nobody is bound yet, nothing is decided.
drop policy auth_server_lodges_transfers on consents.consent;
create policy auth_server_lodges on consents.consent for insert to bankside_auth_server
  with check (status = 'AWAU' and grant_id is null and (kind = 'transfer' or customer_id is null));

-- Which account of this bank a payment would be credited to. Asked when it is lodged, whoever lodges it, and answered with an
-- id or nothing: the authorization server reads no account otherwise.
create function consents.account_to_credit(p_scheme_name text, p_identification text, p_currency text) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  case p_scheme_name
    when 'UK.OBIE.SortCodeAccountNumber' then
      return (select account_id from ledger.account
        where sort_code = left(p_identification, 6) and account_number = substr(p_identification, 7)
          and kind = 'customer' and status <> 'closed' and currency = p_currency);
    when 'UK.OBIE.IBAN' then
      return (select account_id from ledger.account
        where iban = upper(replace(p_identification, ' ', '')) and kind = 'customer' and status <> 'closed' and currency = p_currency);
    else
      return null;
  end case;
end $$;
revoke execute on function consents.account_to_credit from public;
grant execute on function consents.account_to_credit to bankside_auth_server, bankside_resource_api;
