-- Double entry. An entry is one journal entry, its postings are the legs. Amounts are whole numbers of the currency's
-- smallest unit. Only the functions of 0005 write here.
create table ledger.currency (
  currency     text primary key,
  minor_digits integer not null,
  constraint currency_code_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
  constraint currency_minor_digits_within_range check (minor_digits between 0 and 18)
);
insert into ledger.currency values ('GBP', 2), ('EUR', 2), ('USD', 2), ('JPY', 0), ('KWD', 3);

create table ledger.account (
  account_id       text primary key,
  customer_id      text references customers.customer,
  kind             text not null,
  currency         text not null references ledger.currency,
  status           text not null,
  nickname         text not null,
  holder_name      text not null,
  type_code        text not null,
  sort_code        text,
  account_number   text,
  iban             text,
  posted_minor     numeric(38,0) not null,
  held_minor       numeric(38,0) not null,
  overdraft_minor  numeric(38,0) not null,
  posting_count    bigint not null,
  opened_at        timestamptz not null,
  constraint account_id_is_prefixed check (account_id ~ '^acc_[0-9a-f]{32}$'),
  constraint account_kind_is_known check (kind in ('customer', 'settlement', 'equity')),
  constraint account_status_is_known check (status in ('open', 'frozen', 'closed')),
  constraint account_customer_kind_has_a_customer check ((kind = 'customer') = (customer_id is not null)),
  constraint account_type_code_is_iso_20022 check (type_code in ('CACC', 'SVGS', 'OTHR')),
  constraint account_sort_code_and_number_come_together check ((sort_code is null) = (account_number is null)),
  constraint account_sort_code_is_six_digits check (sort_code ~ '^[0-9]{6}$'),
  constraint account_number_is_eight_digits check (account_number ~ '^[0-9]{8}$'),
  constraint account_number_is_unique unique (sort_code, account_number),
  constraint account_iban_is_unique unique (iban),
  constraint account_currency_is_fixed unique (account_id, currency),
  constraint account_held_is_not_negative check (held_minor >= 0),
  constraint account_overdraft_is_not_negative check (overdraft_minor >= 0),
  -- Holds count against available funds. Only the bank's own accounts may go below zero.
  constraint account_within_overdraft check (kind <> 'customer' or posted_minor - held_minor + overdraft_minor >= 0)
) with (fillfactor = 60);
create index account_of_settlement on ledger.account (currency) where kind = 'settlement';
create index account_of_customer on ledger.account (customer_id, account_id) where customer_id is not null;

create table ledger.entry (
  entry_id     text primary key,
  kind         text not null,
  currency     text not null references ledger.currency,
  description  text not null,
  reference    text not null,
  payment_id   text,
  reverses     text references ledger.entry,
  booked_at    timestamptz not null,
  value_date   date not null,
  constraint entry_id_is_prefixed check (entry_id ~ '^ent_[0-9a-f]{32}$'),
  constraint entry_kind_is_known check (kind in ('opening', 'transfer', 'reversal')),
  constraint entry_reverses_another_once unique (reverses),
  constraint entry_reversal_names_what_it_reverses check ((kind = 'reversal') = (reverses is not null))
);

create table ledger.posting (
  account_id        text not null,
  posting_number    bigint not null,
  entry_id          text not null references ledger.entry,
  currency          text not null,
  amount_minor      numeric(38,0) not null,
  balance_minor     numeric(38,0) not null,
  counterparty_name text not null,
  counterparty_scheme_name text,
  counterparty_identification text,
  booked_at         timestamptz not null,
  constraint posting_is_numbered_by_account primary key (account_id, posting_number),
  constraint posting_currency_matches_account foreign key (account_id, currency) references ledger.account (account_id, currency),
  constraint posting_amount_is_not_zero check (amount_minor <> 0)
);
create index posting_of_entry on ledger.posting (entry_id);
create index posting_by_time on ledger.posting (account_id, booked_at desc, posting_number desc);

create table ledger.hold (
  hold_id       text primary key,
  account_id    text not null,
  currency      text not null,
  amount_minor  numeric(38,0) not null,
  status        text not null,
  created_at    timestamptz not null,
  expires_at    timestamptz not null,
  resolved_at   timestamptz,
  entry_id      text references ledger.entry,
  constraint hold_id_is_prefixed check (hold_id ~ '^hld_[0-9a-f]{32}$'),
  constraint hold_currency_matches_account foreign key (account_id, currency) references ledger.account (account_id, currency),
  constraint hold_amount_is_positive check (amount_minor > 0),
  constraint hold_status_is_known check (status in ('active', 'captured', 'released', 'expired')),
  constraint hold_captured_has_an_entry check ((status = 'captured') = (entry_id is not null)),
  constraint hold_resolved_has_a_time check ((status = 'active') = (resolved_at is null))
);
create index hold_active_expiry on ledger.hold (expires_at) where status = 'active';
