import { type SqlFragment, sql } from '@bankside/service-kit/postgres'
import { type DiscrepancyName, ledgerChecks, paymentChecks } from './reconciliation-checks.ts'

/**
 * What can be wrong with what was booked since the last time, by the same names as in the whole: looked for through keys, so that it
 * costs what was booked, not what there is. What somebody changes in older rows the whole finds, and `npm run audit:verify`.
 *
 * @param since entries of this transaction and later ones.
 */
export const recentChecks = (since: bigint): Partial<Record<DiscrepancyName, SqlFragment>> => {
  const entries = sql.fragment`entries as materialized (select e.* from ledger.entry e where e.written_in >= ${since})`
  const postings = sql.fragment`${entries}, postings as materialized (select p.* from entries e join ledger.posting p using (entry_id))`
  const accounts = sql.fragment`${postings}, accounts as materialized (
    select a.*, last.posting_number as last_number, last.balance_minor as last_balance
    from (select distinct account_id from postings) touched join ledger.account a using (account_id)
      left join lateral (
        select p.posting_number, p.balance_minor from ledger.posting p where p.account_id = a.account_id
        order by p.booked_at desc, p.posting_number desc limit 1) last on true)`
  return {
    'posted balance differs from the sum of postings': sql.fragment`
      with ${accounts} select account_id, format('kept %s, the last posting leaves %s', posted_minor, last_balance)
      from accounts where posted_minor is distinct from last_balance`,
    'postings of an account are not numbered without a gap': sql.fragment`
      with ${accounts} select account_id, format('%s counted, the last is %s', posting_count, last_number)
      from accounts where posting_count is distinct from last_number`,
    'running balance is wrong': sql.fragment`
      with ${postings} select p.account_id, format('posting %s shows %s, added up %s', p.posting_number, p.balance_minor, before.balance_minor + p.amount_minor)
      from postings p join lateral (
        select b.balance_minor from ledger.posting b
        where b.account_id = p.account_id and (b.booked_at, b.posting_number) < (p.booked_at, p.posting_number)
        order by b.booked_at desc, b.posting_number desc limit 1) before on true
      where p.balance_minor <> before.balance_minor + p.amount_minor`,
    'entry does not balance': sql.fragment`
      with ${postings} select entry_id, format('%s postings sum to %s %s', count(*), sum(amount_minor), currency)
      from postings group by entry_id, currency having sum(amount_minor) <> 0`,
    'entry has fewer than two postings': sql.fragment`
      with ${postings} select e.entry_id, format('%s postings', count(p.*)) from entries e left join postings p using (entry_id)
      group by e.entry_id having count(p.*) < 2`,
    'posting is of another currency than its account': sql.fragment`
      with ${accounts} select p.entry_id, format('%s in %s', p.account_id, p.currency)
      from postings p left join accounts a using (account_id) where a.currency is distinct from p.currency`,
    // Entry by entry through the key: how many there are is not known when this is planned, and two lists would be compared each with each.
    'posted payment differs from its entry': sql.fragment`
      with ${entries} select p.payment_id, format('entry %s', e.entry_id)
      from entries e join payments.payment p on p.payment_id = e.payment_id
        cross join lateral (
          select array_agg(l.amount_minor) filter (where l.account_id = p.debtor_account_id) as debited,
            array_agg(l.amount_minor) filter (where l.account_id = p.creditor_account_id) as credited
          from ledger.posting l where l.entry_id = e.entry_id offset 0) legs
      where e.kind = 'transfer' and (p.status, p.entry_id, legs.debited, legs.credited, e.currency)
        is distinct from ('posted', e.entry_id, array[-p.amount_minor], array[p.amount_minor], p.currency)`,
    'payment whose consent is not consumed': sql.fragment`
      with ${entries} select p.payment_id, format('consent %s is %s', c.consent_id, c.status)
      from entries e join payments.payment p on p.payment_id = e.payment_id join consents.consent c using (consent_id) where c.status <> 'COND'`,
    // What is open is little, however much there is.
    'held payment without its hold': paymentChecks['held payment without its hold'],
    'active hold without a held payment': paymentChecks['active hold without a held payment'],
    'currency does not sum to zero': ledgerChecks['currency does not sum to zero'],
    'account is beyond its overdraft': sql.fragment`
      with ${accounts} select account_id, format('posted %s, held %s, overdraft %s', posted_minor, held_minor, overdraft_minor)
      from accounts where kind = 'customer' and posted_minor - held_minor + overdraft_minor < 0`,
    'held amount differs from the sum of active holds': sql.fragment`
      with ${accounts}, held as (
        select account_id, sum(amount_minor - captured_minor) as held_minor from ledger.hold where status = 'active' group by account_id)
      select account_id, format('kept %s, added up %s', a.held_minor, coalesce(h.held_minor, 0))
      from (select account_id, held_minor from accounts union select account_id, a.held_minor from held join ledger.account a using (account_id)) a
        left join held h using (account_id)
      where a.held_minor <> coalesce(h.held_minor, 0)`,
  }
}
