-- One object: the UK intent, the RAR detail and the grant are names for one row.
create table consents.consent (
  consent_id                 text primary key,
  client_id                  text not null references clients.client,
  kind                       text not null,
  status                     text not null,
  status_updated_at          timestamptz not null,
  status_reason_code         text,
  status_reason_description  text,
  created_at                 timestamptz not null,
  authorise_before           timestamptz not null,
  -- As the third party sent it: echoed unchanged, and what a payment is compared with.
  request                    jsonb not null,
  -- Account access
  permissions                text[] not null,
  expires_at                 timestamptz,
  transaction_from           timestamptz,
  transaction_to             timestamptz,
  -- Payments
  amount_minor               numeric(38,0),
  currency                   text references ledger.currency,
  creditor_name              text,
  creditor_scheme_name       text,
  creditor_identification    text,
  creditor_account_id        text references ledger.account,
  debtor_account_id          text references ledger.account,
  debtor_scheme_name         text,
  debtor_identification      text,
  reference                  text,
  -- Once a customer has decided
  customer_id                text references customers.customer,
  authorised_at              timestamptz,
  grant_id                   text,
  deleted_at                 timestamptz,
  constraint consent_id_is_prefixed check (consent_id ~ '^con_[0-9a-f]{32}$'),
  constraint consent_kind_is_known check (kind in ('account_access', 'domestic_payment', 'transfer')),
  constraint consent_status_is_known check (status in ('AWAU', 'AUTH', 'RJCT', 'COND', 'CANC', 'EXPD')),
  constraint consent_payment_has_an_amount check ((kind = 'account_access') = (amount_minor is null)),
  constraint consent_amount_is_positive check (amount_minor > 0),
  constraint consent_amount_has_a_currency check ((amount_minor is null) = (currency is null)),
  constraint consent_payment_has_a_creditor check ((kind = 'account_access') = (creditor_name is null)),
  constraint consent_authorised_has_a_customer check (status not in ('AUTH', 'COND', 'CANC') or (customer_id is not null and authorised_at is not null)),
  constraint consent_authorised_payment_has_a_debtor check (kind = 'account_access' or status not in ('AUTH', 'COND') or debtor_account_id is not null),
  constraint consent_only_payments_are_consumed check (status <> 'COND' or kind <> 'account_access'),
  constraint consent_reason_code_is_short check (length(status_reason_code) <= 4)
);
create index consent_of_customer on consents.consent (customer_id, authorised_at desc) where customer_id is not null;
create index consent_of_grant on consents.consent (grant_id) where grant_id is not null;
create index consent_awaiting_authorisation on consents.consent (authorise_before) where status = 'AWAU';
create index consent_authorised_expiry on consents.consent (expires_at) where status = 'AUTH' and expires_at is not null;

create table consents.consent_account (
  consent_id  text not null references consents.consent,
  account_id  text not null references ledger.account,
  constraint consent_account_is_chosen_once primary key (consent_id, account_id)
);

-- CON-01: a consent moves only as drawn; what the third party asked for and who it belongs to never change.
create table consents.transition (
  kind         text not null,
  from_status  text not null,
  to_status    text not null,
  primary key (kind, from_status, to_status)
);
insert into consents.transition values
  ('account_access', 'AWAU', 'AUTH'), ('account_access', 'AWAU', 'RJCT'), ('account_access', 'AWAU', 'EXPD'),
  ('account_access', 'AUTH', 'AUTH'), ('account_access', 'AUTH', 'CANC'), ('account_access', 'AUTH', 'EXPD'),
  ('account_access', 'CANC', 'AUTH'), ('account_access', 'CANC', 'EXPD'),
  ('domestic_payment', 'AWAU', 'AUTH'), ('domestic_payment', 'AWAU', 'RJCT'), ('domestic_payment', 'AUTH', 'COND'), ('domestic_payment', 'AUTH', 'RJCT'),
  ('transfer', 'AWAU', 'AUTH'), ('transfer', 'AWAU', 'RJCT'), ('transfer', 'AUTH', 'COND'), ('transfer', 'AUTH', 'RJCT');

create function consents.consent_moves_forward() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if old.deleted_at is not null then
    raise exception 'consent % is deleted', old.consent_id
      using errcode = '23514', constraint = 'consent_deleted_stays_deleted', table = 'consent', schema = 'consents';
  end if;
  if new.status is distinct from old.status
    and not exists (select from consents.transition where kind = old.kind and from_status = old.status and to_status = new.status) then
    raise exception 'consent % cannot move from % to %', old.consent_id, old.status, new.status
      using errcode = '23514', constraint = 'consent_moves_forward', table = 'consent', schema = 'consents';
  end if;
  return new;
end $$;
create trigger consent_moves_forward before update on consents.consent for each row execute function consents.consent_moves_forward();

-- Asked only of updates that write one of these columns: most write the status alone, and the request is long.
create function consents.consent_terms_never_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if (old.consent_id, old.client_id, old.kind, old.created_at, old.request, old.permissions, old.expires_at, old.transaction_from, old.transaction_to,
      old.amount_minor, old.currency, old.creditor_name, old.creditor_scheme_name, old.creditor_identification, old.creditor_account_id, old.reference)
    is distinct from
     (new.consent_id, new.client_id, new.kind, new.created_at, new.request, new.permissions, new.expires_at, new.transaction_from, new.transaction_to,
      new.amount_minor, new.currency, new.creditor_name, new.creditor_scheme_name, new.creditor_identification, new.creditor_account_id, new.reference)
    or (old.customer_id is not null and new.customer_id is distinct from old.customer_id)
    or (old.debtor_account_id is not null and new.debtor_account_id is distinct from old.debtor_account_id) then
    raise exception 'what consent % was given for cannot change', old.consent_id
      using errcode = '23514', constraint = 'consent_terms_never_change', table = 'consent', schema = 'consents';
  end if;
  return new;
end $$;
create trigger consent_terms_never_change
  before update of consent_id, client_id, kind, created_at, request, permissions, expires_at, transaction_from, transaction_to, amount_minor,
    currency, creditor_name, creditor_scheme_name, creditor_identification, creditor_account_id, reference, customer_id, debtor_account_id
  on consents.consent for each row execute function consents.consent_terms_never_change();

-- The customer is shown a number, the money goes to an account: whoever lodges a consent, they are of one account. Which
-- account a number means is asked when it is paid, where none is named.
create function consents.consent_pays_whom_it_shows() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (
    select from ledger.account where account_id = new.creditor_account_id and case new.creditor_scheme_name
      when 'UK.OBIE.SortCodeAccountNumber' then sort_code || account_number = new.creditor_identification
      when 'UK.OBIE.IBAN' then iban = upper(replace(new.creditor_identification, ' ', ''))
      when 'BANKSIDE.AccountId' then new.kind = 'transfer' and account_id = new.creditor_identification
      else false end) then
    raise exception 'consent % pays another account than it shows', new.consent_id
      using errcode = '23514', constraint = 'consent_pays_whom_it_shows', table = 'consent', schema = 'consents';
  end if;
  return null;
end $$;
create trigger consent_pays_whom_it_shows after insert on consents.consent for each row when (new.creditor_account_id is not null)
  execute function consents.consent_pays_whom_it_shows();
