import { sql } from '@bankside/service-kit/postgres'
import type { referenceChecks } from './reference-checks.ts'

export type DiscrepancyName = keyof typeof ledgerChecks | keyof typeof paymentChecks | keyof typeof referenceChecks

/** Each finds what must not be: the id of it, and what is seen there. */
export const ledgerChecks = {
  'posted balance differs from the sum of postings': sql.fragment`
    select a.account_id, format('kept %s, added up %s', a.posted_minor, coalesce(sum(p.amount_minor), 0))
    from ledger.account a left join ledger.posting p using (account_id)
    group by a.account_id having a.posted_minor <> coalesce(sum(p.amount_minor), 0)`,

  'held amount differs from the sum of active holds': sql.fragment`
    select a.account_id, format('kept %s, added up %s', a.held_minor, coalesce(sum(h.amount_minor - h.captured_minor), 0))
    from ledger.account a left join ledger.hold h on h.account_id = a.account_id and h.status = 'active'
    group by a.account_id having a.held_minor <> coalesce(sum(h.amount_minor - h.captured_minor), 0)`,

  'postings of an account are not numbered without a gap': sql.fragment`
    select a.account_id, format('%s counted, %s there, the last is %s', a.posting_count, count(p.*), coalesce(max(p.posting_number), 0))
    from ledger.account a left join ledger.posting p using (account_id)
    group by a.account_id
    having a.posting_count <> count(p.*) or a.posting_count <> coalesce(max(p.posting_number), 0)`,

  'running balance is wrong': sql.fragment`
    select account_id, format('posting %s shows %s, added up %s', posting_number, balance_minor, added_up)
    from (
      select account_id, posting_number, balance_minor, sum(amount_minor) over (partition by account_id order by posting_number) as added_up
      from ledger.posting
    ) running where balance_minor <> added_up`,

  'a posting is booked before the one it follows': sql.fragment`
    select account_id, format('posting %s', posting_number)
    from (
      select account_id, posting_number, booked_at, lag(booked_at) over (partition by account_id order by posting_number) as before
      from ledger.posting
    ) ordered where booked_at < before`,

  'entry does not balance': sql.fragment`
    select entry_id, format('%s postings sum to %s %s', count(*), sum(amount_minor), p.currency)
    from ledger.posting p group by entry_id, p.currency having sum(amount_minor) <> 0`,

  'entry has fewer than two postings': sql.fragment`
    select e.entry_id, format('%s postings', count(p.*))
    from ledger.entry e left join ledger.posting p using (entry_id) group by e.entry_id having count(p.*) < 2`,

  'posting is of another currency than its account': sql.fragment`
    select p.entry_id, format('%s in %s', p.account_id, p.currency)
    from ledger.posting p left join ledger.account a using (account_id) where a.currency is distinct from p.currency`,

  'posting without an entry': sql.fragment`
    select p.entry_id, format('posting %s of %s', p.posting_number, p.account_id)
    from ledger.posting p where not exists (select from ledger.entry e where e.entry_id = p.entry_id)`,

  'entry is reversed more than once over': sql.fragment`
    select entry_id, format('%s: %s booked, %s left', account_id, booked, remaining)
    from (
      select e.reverses as entry_id, p.account_id, sum(p.amount_minor) as taken_back
      from ledger.entry e join ledger.posting p using (entry_id) where e.reverses is not null group by e.reverses, p.account_id
    ) reversed left join lateral (
      select coalesce(sum(p.amount_minor), 0) as booked, coalesce(sum(p.amount_minor), 0) + taken_back as remaining
      from ledger.posting p where p.entry_id = reversed.entry_id and p.account_id = reversed.account_id
    ) of_it on true
    where booked * remaining < 0 or abs(remaining) > abs(booked)`,

  'captured amount of a hold differs from its entries': sql.fragment`
    select h.hold_id, format('kept %s, added up %s', h.captured_minor, coalesce(-sum(p.amount_minor), 0))
    from ledger.hold h
      left join ledger.entry e on e.hold_id = h.hold_id
      left join ledger.posting p on p.entry_id = e.entry_id and p.account_id = h.account_id
    group by h.hold_id having h.captured_minor <> coalesce(-sum(p.amount_minor), 0)`,

  'exchange differs from its entry': sql.fragment`
    select x.entry_id, format('%s %s for %s %s', x.sold_minor, x.sold_currency, x.bought_minor, x.bought_currency)
    from ledger.exchange x left join ledger.entry e on e.entry_id = x.entry_id and e.kind = 'exchange'
    where e.entry_id is null
      or not exists (select from ledger.posting p where (p.entry_id, p.currency, p.amount_minor) = (x.entry_id, x.sold_currency, -x.sold_minor))
      or not exists (select from ledger.posting p where (p.entry_id, p.currency, p.amount_minor) = (x.entry_id, x.bought_currency, x.bought_minor))`,

  'movement that made nothing': sql.fragment`
    select m.movement_key::text, m.made
    from ledger.movement m, unnest(string_to_array(m.made, ' ')) made_id
    where made_id like 'ent%' and not exists (select from ledger.entry e where e.entry_id = made_id)
      or made_id like 'hld%' and not exists (select from ledger.hold h where h.hold_id = made_id)`,

  'currency does not sum to zero': sql.fragment`
    select currency, format('%s', sum(posted_minor)) from ledger.account group by currency having sum(posted_minor) <> 0`,

  'account is beyond its overdraft': sql.fragment`
    select account_id, format('posted %s, held %s, overdraft %s', posted_minor, held_minor, overdraft_minor)
    from ledger.account where kind = 'customer' and posted_minor - held_minor + overdraft_minor < 0`,
} as const

/** The ledger against what the bank says it did with it. */
export const paymentChecks = {
  'held payment without its hold': sql.fragment`
    select p.payment_id, format('hold %s is %s', p.hold_id, coalesce(h.status, 'missing'))
    from payments.payment p left join ledger.hold h using (hold_id)
    where p.status = 'held' and (h.hold_id is null
      or (h.status, h.account_id, h.amount_minor, h.currency) is distinct from ('active', p.debtor_account_id, p.amount_minor, p.currency))`,

  'active hold without a held payment': sql.fragment`
    select h.hold_id, format('%s %s on %s', h.amount_minor, h.currency, h.account_id)
    from ledger.hold h
    where h.status = 'active' and h.placed_for = 'payment'
      and not exists (select from payments.payment p where p.hold_id = h.hold_id and p.status = 'held')`,

  'posted payment differs from its entry': sql.fragment`
    select p.payment_id, format('entry %s', p.entry_id)
    from payments.payment p
    left join ledger.entry e on e.entry_id = p.entry_id and e.payment_id = p.payment_id and e.kind = 'transfer'
    left join ledger.posting d on d.entry_id = e.entry_id and d.account_id = p.debtor_account_id
    left join ledger.posting c on c.entry_id = e.entry_id and c.account_id = p.creditor_account_id
    left join ledger.hold h on h.hold_id = p.hold_id
    where p.status = 'posted'
      and ((d.amount_minor, c.amount_minor, e.currency) is distinct from (-p.amount_minor, p.amount_minor, p.currency)
        -- What was posted at once was never held.
        or p.hold_id is not null and (h.status, h.entry_id) is distinct from ('captured', p.entry_id))`,

  'entry of a payment that is not posted': sql.fragment`
    select e.entry_id, format('payment %s is %s', e.payment_id, coalesce(p.status, 'missing'))
    from ledger.entry e left join payments.payment p on p.payment_id = e.payment_id
    where e.payment_id is not null and e.kind <> 'reversal' and (p.entry_id, p.status) is distinct from (e.entry_id, 'posted')`,

  'consumed consent without a payment': sql.fragment`
    select c.consent_id, format('since %s', c.status_updated_at)
    from consents.consent c
    where c.status = 'COND' and not exists (select from payments.payment p where p.consent_id = c.consent_id)`,

  'payment whose consent is not consumed': sql.fragment`
    select p.payment_id, format('consent %s is %s', c.consent_id, c.status)
    from payments.payment p join consents.consent c using (consent_id) where c.status <> 'COND'`,

  'payment differs from its consent': sql.fragment`
    select p.payment_id, format('consent %s', c.consent_id)
    from payments.payment p join consents.consent c using (consent_id)
    where (p.client_id, p.customer_id, p.debtor_account_id, p.amount_minor, p.currency, p.creditor_identification)
      is distinct from (c.client_id, c.customer_id, c.debtor_account_id, c.amount_minor, c.currency, c.creditor_identification)`,

  'spending is not counted as it was paid': sql.fragment`
    select account_id, format('%s, %s: counted %s, paid %s', hour, channel, s.spent_minor, p.minor)
    from payments.spent s full join (
      select debtor_account_id as account_id, date_trunc('hour', created_at, 'UTC') as hour, channel, sum(amount_minor) as minor, count(*) as payments
      from payments.payment where status <> 'rejected' group by 1, 2, 3) p using (account_id, hour, channel)
    where (coalesce(s.spent_minor, 0), coalesce(s.payment_count, 0)) <> (coalesce(p.minor, 0), coalesce(p.payments, 0))
      -- No limit counts further back, and what is older is dropped.
      and hour > (select max(hour) from payments.spent) - interval '31 days'`,

  'payment that nobody was told of': sql.fragment`
    select p.payment_id, format('no event payment.%s', p.status)
    from payments.payment p
    where not exists (select from events.event e where e.subject = p.payment_id and e.type = 'payment.' || p.status)
      -- Events that were delivered are kept for some months.
      and p.status_updated_at >= (select dropped_to from housekeeping.partitioned_table where (schema_name, table_name) = ('events', 'event'))`,
} as const
