-- PostgreSQL reads and prepares every check of a table for every statement that writes to it: of a consent that is used or decided about, that was
-- most of what writing it costs. The same by the same names, prepared once for each connection.
alter table consents.consent
  drop constraint consent_amount_has_a_currency, drop constraint consent_amount_is_positive, drop constraint consent_authorised_has_a_customer,
  drop constraint consent_authorised_payment_has_a_debtor, drop constraint consent_id_is_prefixed, drop constraint consent_kind_is_known,
  drop constraint consent_only_payments_are_consumed, drop constraint consent_payment_has_a_creditor, drop constraint consent_payment_has_an_amount,
  drop constraint consent_reason_code_is_short, drop constraint consent_status_is_known, drop constraint managed_grant_has_a_beginning,
  drop constraint managed_grant_id_is_prefixed, drop constraint managed_grant_is_of_a_customer;

create function consents.consent_is_well_formed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  problem text;
begin
  problem := case
    when new.consent_id !~ '^con_[0-9a-f]{32}$' then 'consent_id_is_prefixed'
    when new.kind not in ('account_access', 'domestic_payment', 'transfer') then 'consent_kind_is_known'
    when new.status not in ('AWAU', 'AUTH', 'RJCT', 'COND', 'CANC', 'EXPD') then 'consent_status_is_known'
    when length(new.status_reason_code) > 4 then 'consent_reason_code_is_short'
    when (new.amount_minor is null) <> (new.currency is null) then 'consent_amount_has_a_currency'
    when new.amount_minor <= 0 then 'consent_amount_is_positive'
    when (new.kind = 'account_access') <> (new.amount_minor is null) then 'consent_payment_has_an_amount'
    when (new.kind = 'account_access') <> (new.creditor_name is null) then 'consent_payment_has_a_creditor'
    when new.kind = 'account_access' and new.status = 'COND' then 'consent_only_payments_are_consumed'
    when new.status in ('AUTH', 'COND', 'CANC') and (new.customer_id is null or new.authorised_at is null) then 'consent_authorised_has_a_customer'
    when new.kind <> 'account_access' and new.status in ('AUTH', 'COND') and new.debtor_account_id is null then 'consent_authorised_payment_has_a_debtor'
    when new.managed_grant_id !~ '^gnt_[0-9a-f]{32}$' then 'managed_grant_id_is_prefixed'
    when new.managed_grant_id is not null and new.managed_since is null then 'managed_grant_has_a_beginning'
    when new.managed_grant_id is not null and new.customer_id is null then 'managed_grant_is_of_a_customer'
  end;
  if problem is not null then
    raise exception 'consent % is not well formed: %', new.consent_id, problem
      using errcode = '23514', constraint = problem, table = 'consent', schema = 'consents';
  end if;
  return new;
end $$;
revoke execute on function consents.consent_is_well_formed from public;
-- By its name it comes after the other triggers, as a check does.
create trigger consent_well_formed before insert or update on consents.consent for each row execute function consents.consent_is_well_formed();
