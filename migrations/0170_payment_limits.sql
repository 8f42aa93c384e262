-- How much may be paid. A limit is of an account, a customer or a consent, or, naming none, of each of them; through one channel or
-- all; for one payment, a day, a calendar month or a window that moves. It is never changed: whoever sets another one ends it.
create table payments.spending_limit (
  limit_id      text primary key,
  set_by        text not null,
  scope         text not null,
  -- Null: of each, counted for itself. One that names its subject stands in the place of the one for each.
  subject_id    text,
  channel       text,
  period        text not null,
  window_hours  integer,
  currency      text not null references ledger.currency,
  most_minor    numeric(38,0) not null,
  -- What goes beyond it needs the customer's confirmation, and is then paid.
  is_soft       boolean not null,
  set_at        timestamptz not null,
  ended_at      timestamptz,
  constraint limit_id_is_prefixed check (limit_id ~ '^lim_[0-9a-f]{32}$'),
  constraint limit_is_set_by_bank_or_customer check (set_by in ('bank', 'customer')),
  constraint limit_scope_is_known check (scope in ('account', 'customer', 'consent')),
  constraint limit_subject_fits_its_scope check (
    subject_id is null or subject_id ~ ('^' || case scope when 'account' then 'acc' when 'customer' then 'cus' else 'con' end || '_[0-9a-f]{32}$')),
  constraint limit_of_a_customer_names_its_subject check (set_by = 'bank' or (subject_id is not null and scope <> 'consent')),
  constraint limit_that_is_soft_is_a_customers check (not is_soft or set_by = 'customer'),
  constraint limit_channel_is_known check (channel in ('uk_v4', 'bank_api')),
  constraint limit_period_is_known check (period in ('payment', 'day', 'month', 'window')),
  constraint limit_window_has_hours check ((period = 'window') = (window_hours is not null)),
  constraint limit_window_within_range check (window_hours between 1 and 744),
  constraint limit_is_not_negative check (most_minor >= 0),
  constraint limit_ends_after_it_was_set check (ended_at >= set_at)
);
create unique index limit_is_set_once on payments.spending_limit
  (scope, coalesce(subject_id, ''), set_by, is_soft, coalesce(channel, ''), period, coalesce(window_hours, 0), currency) where ended_at is null;
create index limit_of_subject on payments.spending_limit (subject_id) where ended_at is null;

create function payments.limit_is_fixed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' or old.ended_at is not null or new.ended_at is null
    or to_jsonb(old) - 'ended_at' is distinct from to_jsonb(new) - 'ended_at' then
    raise exception 'limit % may only be ended', old.limit_id
      using errcode = '23514', constraint = 'limit_is_fixed', table = 'spending_limit', schema = 'payments';
  end if;
  return new;
end $$;
create trigger limit_is_fixed before update or delete on payments.spending_limit for each row execute function payments.limit_is_fixed();

-- What was paid and not rejected, by hour, whether or not a limit is set: a day here begins at a full hour anywhere, and a
-- limit set at noon knows of the morning. Written by the triggers below, under the lock of the account.
create table payments.spent (
  account_id     text not null,
  hour           timestamptz not null,
  channel        text not null,
  spent_minor    numeric(38,0) not null,
  payment_count  bigint not null,
  constraint spent_is_counted_by_hour primary key (account_id, hour, channel),
  constraint spent_is_not_negative check (spent_minor >= 0 and payment_count >= 0)
) with (fillfactor = 60);
create index spent_age on payments.spent using brin (hour);

insert into payments.spent
  select debtor_account_id, date_trunc('hour', created_at, 'UTC'), channel, sum(amount_minor), count(*)
  from payments.payment where status <> 'rejected' group by 1, 2, 3;

create function payments.payment_counts() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into payments.spent as s (account_id, hour, channel, spent_minor, payment_count)
  select debtor_account_id, date_trunc('hour', created_at, 'UTC'), channel, sum(amount_minor), count(*)
  from new_payment where status <> 'rejected' group by 1, 2, 3 order by 1, 2, 3
  on conflict on constraint spent_is_counted_by_hour do update
    set spent_minor = s.spent_minor + excluded.spent_minor, payment_count = s.payment_count + excluded.payment_count;
  return null;
end $$;
create trigger payment_counts after insert on payments.payment
  referencing new table as new_payment for each statement execute function payments.payment_counts();

create function payments.payment_gives_back() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from new_payment where status = 'rejected') then
    update payments.spent s set spent_minor = s.spent_minor - back.amount_minor, payment_count = s.payment_count - back.payments
    from (
      select o.debtor_account_id, date_trunc('hour', o.created_at, 'UTC') as hour, o.channel, sum(o.amount_minor) as amount_minor, count(*) as payments
      from new_payment n join old_payment o using (payment_id)
      where n.status = 'rejected' and o.status <> 'rejected' group by 1, 2, 3) back
    where s.account_id = back.debtor_account_id and s.hour = back.hour and s.channel = back.channel;
  end if;
  return null;
end $$;
create trigger payment_gives_back after update on payments.payment
  referencing old table as old_payment new table as new_payment for each statement execute function payments.payment_gives_back();

-- The limit that refused it.
alter table payments.payment add column limit_id text references payments.spending_limit;
-- The soft limits that the customer was shown and confirmed to go beyond, with the payment.
alter table consents.consent add column confirmed_limits text[] not null default '{}';
alter policy resource_api_lodges on consents.consent
  with check (kind <> 'transfer' and status = 'AWAU' and customer_id is null and grant_id is null and confirmed_limits = '{}');

-- Since when a limit counts, null for one that does not. A window is counted in whole hours: the one that has begun and as many
-- before as the limit says, so that what is paid in any so many hours stays within it.
create function payments.counts_since(p_period text, p_window_hours integer, p_now timestamptz) returns timestamptz
language sql immutable as $$
  select case p_period
    when 'day' then date_trunc('day', p_now, 'Europe/London')
    when 'month' then date_trunc('month', p_now, 'Europe/London')
    when 'window' then date_trunc('hour', p_now, 'UTC') - p_window_hours * interval '1 hour'
  end
$$;

create function payments.spent_since(p_subject_id text, p_currency text, p_channel text, p_since timestamptz) returns numeric
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(sum(s.spent_minor), 0)
  from ledger.account a join payments.spent s on s.account_id = a.account_id and s.hour >= p_since
  where a.account_id = any (array(select p_subject_id union all select account_id from ledger.account where customer_id = p_subject_id))
    and a.currency = p_currency and (p_channel is null or s.channel = p_channel)
$$;

-- A payment to be made, and a limit that it comes under: position is that of the payment.
create type payments.limited as (
  position integer, limit_id text, subject_id text, scope text, channel text, currency text, amount_minor numeric, most_minor numeric,
  counts_since timestamptz, is_soft boolean, rank integer);

create function payments.limits_on(
  p_now timestamptz, p_customer_id text[], p_account_id text[], p_consent_id text[], p_channel text[], p_amount_minor numeric[], p_currency text[]
) returns setof payments.limited language sql stable set search_path = pg_catalog, pg_temp as $$
  select distinct on (asked.position, l.set_by, l.scope, l.is_soft, l.channel, l.period, l.window_hours)
    asked.position::integer, l.limit_id, case l.scope when 'account' then account_id when 'customer' then customer_id else consent_id end, l.scope, l.channel,
    l.currency, amount_minor, l.most_minor,
    case when l.scope <> 'consent' then payments.counts_since(l.period, l.window_hours, p_now) end,
    l.is_soft, 2 * (case l.set_by when 'bank' then 0 else 1 end + l.is_soft::integer) + (l.period <> 'payment')::integer
  from unnest(p_customer_id, p_account_id, p_consent_id, p_channel, p_amount_minor, p_currency)
      with ordinality asked (customer_id, account_id, consent_id, channel, amount_minor, currency, position)
    cross join lateral (
      select * from payments.spending_limit named where named.ended_at is null and named.subject_id in (account_id, customer_id, consent_id)
      union all
      select * from payments.spending_limit each_one where each_one.ended_at is null and each_one.subject_id is null) l
  where l.currency = asked.currency and (l.channel is null or l.channel = asked.channel)
  order by asked.position, l.set_by, l.scope, l.is_soft, l.channel, l.period, l.window_hours, l.subject_id nulls last
$$;

-- Which limit refuses each of these payments, null where none does, as if they were made one after another in this order: one that
-- is refused leaves room for the next. Whether there are funds is not asked: when some of them have none, ask again without those.
--
-- Customers, then accounts are locked in the order of their ids, so what was found here stands until the transaction ends. What
-- is then paid is counted when the payment is written.
create function payments.limits_in_the_way(p_now timestamptz, p_consent_id text[], p_channel text[]) returns text[]
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  refused text[] := array_fill(null::text, array[cardinality(p_consent_id)]);
  payment record;
  of_customers boolean;
  counts boolean;
  -- By place, which is a limit and whom it is of: what this call lets through.
  added numeric[] := '{}';
  places integer[] := '{}';
  place integer;
  step record;
begin
  if not exists (select from payments.spending_limit where ended_at is null) then return refused; end if;
  select array_agg(c.customer_id order by position) as customer_id, array_agg(c.debtor_account_id order by position) as account_id,
    array_agg(c.amount_minor order by position) as amount_minor, array_agg(c.currency order by position) as currency
  into payment
  from unnest(p_consent_id) with ordinality asked (consent_id, position) left join consents.consent c using (consent_id);
  select bool_or(counts_since is not null), bool_or(counts_since is not null and scope = 'customer') into counts, of_customers
  from payments.limits_on(p_now, payment.customer_id, payment.account_id, p_consent_id, p_channel, payment.amount_minor, payment.currency);
  if counts is null then return refused; end if;
  if of_customers then
    perform from customers.customer c where c.customer_id = any (payment.customer_id) order by c.customer_id for no key update;
  end if;
  if counts then
    perform from ledger.account a where a.account_id = any (payment.account_id) order by a.account_id for no key update;
  end if;

  for step in
    with due as materialized (
      select * from payments.limits_on(p_now, payment.customer_id, payment.account_id, p_consent_id, p_channel, payment.amount_minor, payment.currency)
    ), used as materialized (
      select limit_id, subject_id, payments.spent_since(subject_id, currency, channel, counts_since) as minor
      from (select distinct limit_id, subject_id, currency, channel, counts_since from due where counts_since is not null) counted
    )
    select due.*, coalesce(used.minor, 0) as used_minor, dense_rank() over (order by limit_id, subject_id)::integer as place,
      lead(due.position) over in_order is distinct from due.position as ends_payment,
      is_soft and exists (select from consents.consent c where c.consent_id = p_consent_id[due.position] and limit_id = any (c.confirmed_limits)) as confirmed
    from due left join used using (limit_id, subject_id)
    window in_order as (order by due.position, due.rank, limit_id)
    order by due.position, due.rank, limit_id
  loop
    if step.counts_since is not null then places := places || step.place; end if;
    if refused[step.position] is null and not step.confirmed and step.most_minor
        < step.used_minor + step.amount_minor + (case when step.counts_since is null then 0 else coalesce(added[step.place], 0) end) then
      refused[step.position] := step.limit_id;
    end if;
    if step.ends_payment then
      if refused[step.position] is null then
        foreach place in array places loop added[place] := coalesce(added[place], 0) + step.amount_minor; end loop;
      end if;
      places := '{}';
    end if;
  end loop;
  return refused;
end $$;

-- The customer's own soft limits that a payment from each of these accounts would go beyond now: what the page names.
create function payments.soft_limits_beyond(p_now timestamptz, p_consent_id text, p_customer_id text, p_channel text)
returns table (account_id text, limit_id text) language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select a.account_id, l.limit_id
  from consents.consent c join ledger.account a on a.customer_id = p_customer_id and a.currency = c.currency
    cross join lateral payments.limits_on(p_now, array[a.customer_id], array[a.account_id], array[c.consent_id], array[p_channel], array[c.amount_minor],
      array[c.currency]) l
    where c.consent_id = p_consent_id and l.is_soft
    and l.most_minor < l.amount_minor
      + case when l.counts_since is null then 0 else payments.spent_since(l.subject_id, l.currency, l.channel, l.counts_since) end
$$;

revoke execute on function
  payments.limit_is_fixed, payments.payment_counts, payments.payment_gives_back, payments.counts_since, payments.spent_since, payments.limits_on,
  payments.limits_in_the_way, payments.soft_limits_beyond from public;
revoke usage on type payments.limited from public;
grant execute on function payments.limits_in_the_way to bankside_resource_api;
grant select on payments.spending_limit to bankside_resource_api, bankside_worker;
grant select on payments.spent to bankside_worker;
grant delete on payments.spent to bankside_worker;

-- A customer's own limits are set on the dashboard; the bank's are not within its reach.
grant usage on schema payments to bankside_auth_server;
grant select, insert on payments.spending_limit to bankside_auth_server;
grant update (ended_at) on payments.spending_limit to bankside_auth_server;
grant execute on function payments.soft_limits_beyond, payments.spent_since to bankside_auth_server;
alter table payments.spending_limit enable row level security;
create policy everyone_reads on payments.spending_limit for select using (true);
create policy auth_server_sets_customers_own on payments.spending_limit for insert to bankside_auth_server with check (set_by = 'customer');
create policy auth_server_ends_customers_own on payments.spending_limit for update to bankside_auth_server
  using (set_by = 'customer') with check (set_by = 'customer');
