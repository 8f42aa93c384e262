-- What the ledger knows beyond a transfer between two accounts: every currency, the bank's own kinds of account, movements with
-- several legs, holds that are captured in parts, reversals in parts, exchange, and a key under which a movement is made once.

-- ISO 4217, and two that are counted further. Bitcoin in satoshi, ether in wei.
insert into ledger.currency
  select code, 0 from unnest(array['BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV',
    'XAF', 'XOF', 'XPF']) code
  union all
  select code, 2 from unnest(array['AED', 'AFN', 'ALL', 'AMD', 'AOA', 'ARS', 'AUD', 'AWG', 'AZN', 'BAM', 'BBD', 'BDT', 'BMD',
    'BND', 'BOB', 'BOV', 'BRL', 'BSD', 'BTN', 'BWP', 'BYN', 'BZD', 'CAD', 'CDF', 'CHE', 'CHF', 'CHW', 'CNY', 'COP', 'COU', 'CRC',
    'CUP', 'CVE', 'CZK', 'DKK', 'DOP', 'DZD', 'EGP', 'ERN', 'ETB', 'FJD', 'FKP', 'GEL', 'GHS', 'GIP', 'GMD', 'GTQ', 'GYD', 'HKD',
    'HNL', 'HTG', 'HUF', 'IDR', 'ILS', 'INR', 'IRR', 'JMD', 'KES', 'KGS', 'KHR', 'KPW', 'KYD', 'KZT', 'LAK', 'LBP', 'LKR', 'LRD',
    'LSL', 'MAD', 'MDL', 'MGA', 'MKD', 'MMK', 'MNT', 'MOP', 'MRU', 'MUR', 'MVR', 'MWK', 'MXN', 'MXV', 'MYR', 'MZN', 'NAD', 'NGN',
    'NIO', 'NOK', 'NPR', 'NZD', 'PAB', 'PEN', 'PGK', 'PHP', 'PKR', 'PLN', 'QAR', 'RON', 'RSD', 'RUB', 'SAR', 'SBD', 'SCR', 'SDG',
    'SEK', 'SGD', 'SHP', 'SLE', 'SOS', 'SRD', 'SSP', 'STN', 'SVC', 'SYP', 'SZL', 'THB', 'TJS', 'TMT', 'TOP', 'TRY', 'TTD', 'TWD',
    'TZS', 'UAH', 'USN', 'UYU', 'UZS', 'VED', 'VES', 'WST', 'XCD', 'XCG', 'YER', 'ZAR', 'ZMW', 'ZWG']) code
  union all
  select code, 3 from unnest(array['BHD', 'IQD', 'JOD', 'LYD', 'OMR', 'TND']) code
  union all
  select code, 4 from unnest(array['CLF', 'UYW']) code
  union all
  select code, 8 from unnest(array['BTC']) code
  union all
  select code, 18 from unnest(array['ETH']) code;
-- What points at a currency with its digits cannot be mistaken about them.
alter table ledger.currency add constraint currency_digits_are_fixed unique (currency, minor_digits);

-- When the last posting was booked: no posting of the account is booked before it.
alter table ledger.account add column last_booked_at timestamptz;
update ledger.account a set last_booked_at = (select max(booked_at) from ledger.posting p where p.account_id = a.account_id);

-- Every check of a table is read and made ready for every statement that writes to it: of all that a movement costs, those of
-- accounts were a fifth. What is true of an account's names and numbers is asked when one of those is written; the checks of
-- its balances stay with the table.
alter table ledger.account
  drop constraint account_id_is_prefixed,
  drop constraint account_kind_is_known,
  drop constraint account_status_is_known,
  drop constraint account_customer_kind_has_a_customer,
  drop constraint account_type_code_is_iso_20022,
  drop constraint account_sort_code_and_number_come_together,
  drop constraint account_sort_code_is_six_digits,
  drop constraint account_number_is_eight_digits,
  drop constraint account_overdraft_is_not_negative;
create function ledger.account_is_well_formed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  wrong text := case
    when new.account_id !~ '^acc_[0-9a-f]{32}$' then 'account_id_is_prefixed'
    when new.kind not in ('customer', 'internal', 'settlement', 'fee', 'suspense', 'position', 'equity') then 'account_kind_is_known'
    when new.status not in ('open', 'frozen', 'closed') then 'account_status_is_known'
    when (new.kind = 'customer') <> (new.customer_id is not null) then 'account_customer_kind_has_a_customer'
    when new.type_code not in ('CACC', 'SVGS', 'OTHR') then 'account_type_code_is_iso_20022'
    when (new.sort_code is null) <> (new.account_number is null) then 'account_sort_code_and_number_come_together'
    when new.sort_code !~ '^[0-9]{6}$' then 'account_sort_code_is_six_digits'
    when new.account_number !~ '^[0-9]{8}$' then 'account_number_is_eight_digits'
    when new.overdraft_minor < 0 then 'account_overdraft_is_not_negative'
  end;
begin
  if wrong is not null then
    raise exception 'account % is not well formed', new.account_id
      using errcode = '23514', constraint = wrong, schema = 'ledger', table = 'account';
  end if;
  return new;
end $$;
create trigger account_is_well_formed
  before insert or update of account_id, kind, status, customer_id, type_code, sort_code, account_number, overdraft_minor
  on ledger.account for each row execute function ledger.account_is_well_formed();

-- The same of ids: a regular expression costs more than the row.
alter table ledger.entry drop constraint entry_id_is_prefixed,
  add constraint entry_id_is_prefixed check (starts_with(entry_id, 'ent_') and length(entry_id) = 36);
alter table ledger.hold drop constraint hold_id_is_prefixed,
  add constraint hold_id_is_prefixed check (starts_with(hold_id, 'hld_') and length(hold_id) = 36);
alter table events.event drop constraint event_id_is_prefixed,
  add constraint event_id_is_prefixed check (starts_with(event_id, 'evt_') and length(event_id) = 36);
alter table audit.record drop constraint record_id_is_prefixed,
  add constraint record_id_is_prefixed check (starts_with(record_id, 'aud_') and length(record_id) = 36);

-- A movement is asked for under a key: SHA-256 over client, method, endpoint and header, the first half of it. What was made
-- under it is found again for a day. One that was declined leaves no row: its key is as new.
create table ledger.movement (
  movement_key  uuid not null,
  request_hash  bytea not null,
  -- Ids of the entries and holds, in the order of the operations, with a blank between.
  made          text not null,
  made_at       timestamptz not null,
  constraint movement_is_made_once primary key (movement_key),
  constraint movement_request_hash_is_sha_256 check (length(request_hash) = 32)
);
create index movement_age on ledger.movement using brin (made_at);

-- An entry in several currencies names none. A payment's hold may be captured by more than one entry.
alter table ledger.entry
  alter column currency drop not null,
  drop constraint entry_currency_fkey,
  drop constraint entry_reverses_another_once,
  drop constraint entry_reverses_fkey,
  drop constraint entry_kind_is_known,
  add column hold_id text,
  add constraint entry_kind_is_known check (kind in ('opening', 'transfer', 'reversal', 'exchange', 'closing')),
  add constraint entry_of_one_currency_names_it check (currency is not null or kind in ('exchange', 'reversal', 'transfer')),
  add constraint entry_value_date_is_not_after_booking check (value_date <= (booked_at at time zone 'Europe/London')::date);
create index entry_of_reversed on ledger.entry (reverses) where reverses is not null;
create index entry_of_hold on ledger.entry (hold_id) where hold_id is not null;

-- Read by account and time, and numbered without a gap: one index does both, and holds what a page shows, so that a page is
-- read from it alone. What the foreign keys said, the trigger posting_is_sound asks once for all postings of a statement.
alter table ledger.posting
  drop constraint posting_entry_id_fkey,
  drop constraint posting_currency_matches_account,
  drop constraint posting_is_numbered_by_account,
  add constraint posting_is_numbered_by_account primary key (account_id, booked_at, posting_number)
    include (entry_id, currency, amount_minor, balance_minor);
drop index ledger.posting_by_time;

-- What is left of a hold is its amount less what was captured. The capture or release that ends it gives back the rest.
alter table ledger.hold
  add column captured_minor numeric(38,0) not null default 0,
  -- A payment waits on a hold that was placed for one: reconciliation looks for it.
  add column placed_for text not null default 'payment',
  add constraint hold_is_placed_for_something_known check (placed_for in ('payment', 'movement')),
  add constraint hold_captures_at_most_its_amount check (captured_minor between 0 and amount_minor);
update ledger.hold set captured_minor = amount_minor where status = 'captured';

-- Exact, whatever the exponent: a power of numerics is rounded when it is long.
create function ledger.ten_to_the(exponent integer) returns numeric language sql immutable strict as $$
  select rpad('1', exponent + 1, '0')::numeric
$$;
-- What an amount of one currency is worth in the other: whole minor units, rounded down.
create function ledger.worth(amount_minor numeric, price_units numeric, price_scale integer, base_digits integer, quote_digits integer)
returns numeric language sql immutable strict as $$
  select div(amount_minor * price_units * ledger.ten_to_the(quote_digits), ledger.ten_to_the(price_scale + base_digits))
$$;

-- What one currency costs in another, as it was quoted: price_units * 10^-price_scale of the quote currency for one of the base
-- currency. Quotes are added, never changed: the history is the table.
create table ledger.rate (
  base_currency   text not null references ledger.currency,
  quote_currency  text not null references ledger.currency,
  source          text not null,
  quoted_at       timestamptz not null,
  price_units     numeric(38,0) not null,
  price_scale     integer not null,
  constraint rate_is_quoted_once primary key (base_currency, quote_currency, source, quoted_at),
  constraint rate_is_between_two_currencies check (base_currency <> quote_currency),
  constraint rate_price_is_positive check (price_units > 0),
  constraint rate_price_scale_within_range check (price_scale between 0 and 18)
);

-- An exchange, with what it was reckoned by. What is bought is what the sold amount is worth, rounded down to a whole minor
-- unit. priced_minor is the least that buys as much; what was sold beyond it is the residue, which is booked by itself.
create table ledger.exchange (
  entry_id        text primary key references ledger.entry,
  sold_currency   text not null,
  sold_digits     integer not null,
  sold_minor      numeric(38,0) not null,
  priced_minor    numeric(38,0) not null,
  bought_currency text not null,
  bought_digits   integer not null,
  bought_minor    numeric(38,0) not null,
  price_units     numeric(38,0) not null,
  price_scale     integer not null,
  source          text not null,
  quoted_at       timestamptz not null,
  constraint exchange_sold_currency_has_these_digits foreign key (sold_currency, sold_digits) references ledger.currency (currency, minor_digits),
  constraint exchange_bought_currency_has_these_digits foreign key (bought_currency, bought_digits) references ledger.currency (currency, minor_digits),
  constraint exchange_rate_is_on_record foreign key (sold_currency, bought_currency, source, quoted_at) references ledger.rate,
  constraint exchange_buys_something check (bought_minor > 0),
  constraint exchange_is_rounded_down check (bought_minor = ledger.worth(sold_minor, price_units, price_scale, sold_digits, bought_digits)),
  constraint exchange_residue_is_all_that_buys_nothing check (
    priced_minor between 1 and sold_minor
    and ledger.worth(priced_minor, price_units, price_scale, sold_digits, bought_digits) = bought_minor
    and ledger.worth(priced_minor - 1, price_units, price_scale, sold_digits, bought_digits) < bought_minor)
);

-- Whoever may move money between any accounts: the core of the bank. None of the processes that answer to others can.
do $$
begin
  create role bankside_ledger login;
exception when duplicate_object or unique_violation then null;
end $$;
