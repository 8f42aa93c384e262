import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Database, openDatabase, sql, transact, violatedConstraint } from '@bankside/service-kit/postgres'
import { type AccountId, type CustomerId, newLimitId } from '../ids.ts'
import { advancePayments } from '../payments/advance-payments.ts'
import type { Payment } from '../payments/payment.ts'
import { type ConsentOptions, gbp, noon, openTestBank, type TestBank, type TestConsent } from '../payments/testing/test-bank.ts'
import type { Limit, LimitPeriod } from './limit.ts'
import { limitInWords } from './limit.ts'
import { listLimits } from './list-limits.ts'
import { endLimit, setLimit } from './set-limit.ts'

let bank: TestBank
let authServer: Database
let payee: AccountId
before(async () => {
  bank = await openTestBank({ maxConnections: 16 })
  authServer = await openDatabase(bank.urls.authServerUrl)
  payee = await bank.newAccount()
})
after(async () => {
  await authServer.end()
  await bank.close()
})

const hourMs = 3_600_000
const at = (text: string) => new Date(text)
const ofBank = { setBy: 'bank', channel: undefined, soft: false, actor: 'operator', now: noon } as const
const set = (limit: Pick<Limit, 'scope' | 'subjectId' | 'period' | 'most'> & Partial<Limit>) =>
  transact(bank.owner, (tx) => setLimit(tx, { ...ofBank, ...limit }))
const end = (limitId: string) => transact(bank.owner, (tx) => endLimit(tx, { limitId, setBy: 'bank', actor: 'operator', now: noon }))

type Order = Omit<ConsentOptions, 'debtorAccountId' | 'amount' | 'now'> & {
  readonly from: AccountId
  readonly minor: number | bigint
  readonly now?: Date
}
const agreed = ({ from, minor, now = noon, ...options }: Order) =>
  bank.newConsent({ debtorAccountId: from, creditorAccountId: payee, amount: gbp(minor), ...options, now })
const submit = (consent: TestConsent, now = noon) => bank.submit(consent, { now })
const pay = async (order: Order) => submit(await agreed(order), order.now)
const outcome = ({ status, rejectionReason, limitId }: Payment) => [status, rejectionReason, limitId]
const refusedBy = (limitId: string, reason = 'AM14') => ['rejected', reason, limitId]
const paid = ['held', undefined, undefined]
const customerOf = (account: AccountId) =>
  bank.owner.oneFirst(sql.unsafe`select customer_id from ledger.account where account_id = ${account}`) as Promise<CustomerId>

test('a limit that makes no sense is refused by the name of what is wrong with it', async () => {
  const good = {
    limit_id: newLimitId(),
    set_by: 'bank',
    scope: 'account',
    period: 'day',
    currency: 'GBP',
    most_minor: 1,
    is_soft: false,
    set_at: noon,
  }
  const id = payee
  for (const [wrong, constraint] of [
    [{ set_by: 'somebody' }, 'limit_is_set_by_bank_or_customer'],
    [{ scope: 'client' }, 'limit_scope_is_known'],
    [{ scope: 'customer', subject_id: id }, 'limit_subject_fits_its_scope'],
    [{ set_by: 'customer' }, 'limit_of_a_customer_names_its_subject'],
    [{ is_soft: true }, 'limit_that_is_soft_is_a_customers'],
    [{ channel: 'post' }, 'limit_channel_is_known'],
    [{ period: 'week' }, 'limit_period_is_known'],
    [{ period: 'window' }, 'limit_window_has_hours'],
    [{ window_hours: 1 }, 'limit_window_has_hours'],
    [{ period: 'window', window_hours: 745 }, 'limit_window_within_range'],
    [{ most_minor: -1 }, 'limit_is_not_negative'],
  ] as const)
    await assert.rejects(
      bank.owner.query(sql.unsafe`
        insert into payments.spending_limit select * from jsonb_populate_record(null::payments.spending_limit, ${JSON.stringify({ ...good, ...wrong })}::jsonb)`),
      (error) => violatedConstraint(error) === constraint,
      constraint,
    )
})

test('a limit never changes and is not removed; a bank’s is out of reach of every process', async () => {
  const account = await bank.newAccount()
  const limitId = await set({ scope: 'account', subjectId: account, period: 'day', most: gbp(100) })
  for (const change of [
    sql.unsafe`update payments.spending_limit set most_minor = 1000 where limit_id = ${limitId}`,
    sql.unsafe`delete from payments.spending_limit where limit_id = ${limitId}`,
  ])
    await assert.rejects(bank.owner.query(change), (error) => violatedConstraint(error) === 'limit_is_fixed')
  const raise = { ...ofBank, scope: 'account', subjectId: account, period: 'day', most: gbp(1_000_000) } as const
  for (const process of [authServer, bank.resourceApi, bank.worker]) {
    await assert.rejects(transact(process, (tx) => setLimit(tx, raise)))
    const ending = transact(process, (tx) => endLimit(tx, { limitId, setBy: 'bank', actor: 'me', now: noon }))
    assert.equal(await ending.catch(() => false), false)
    await assert.rejects(process.query(sql.unsafe`update payments.spent set spent_minor = 0`))
  }
  assert.deepEqual(outcome(await pay({ from: account, minor: 101 })), refusedBy(limitId))
})

test('a third party cannot confirm a customer’s limit for them', async () => {
  const { consentId } = await agreed({ from: await bank.newAccount(), minor: 1 })
  const copy = sql.unsafe`
    insert into consents.consent select (jsonb_populate_record(c, jsonb_build_object('consent_id', 'con_' || repeat('a', 32), 'status', 'AWAU',
      'customer_id', null, 'grant_id', null, 'authorised_at', null, 'debtor_account_id', null, 'confirmed_limits', array['lim_x']))).*
    from consents.consent c where consent_id = ${consentId}`
  await assert.rejects(bank.resourceApi.query(copy), /row-level security/)
})

/** What may be paid is 1,000; each payment is of 300, so three pass, whoever else wins. */
const races: readonly (readonly [string, LimitPeriod, Limit['scope']])[] = [
  ['an account a day', 'day', 'account'],
  ['an account a month', 'month', 'account'],
  ['an account in a window', { hours: 24 }, 'account'],
  ['a customer a day', 'day', 'customer'],
  ['a customer a month', 'month', 'customer'],
  ['a customer in a window', { hours: 1 }, 'customer'],
]
for (const [of, period, scope] of races)
  test(`VRP-12 payments that race pass a limit of ${of} exactly as far as it goes, and what is rejected gives back`, async () => {
    const first = await bank.newAccount({ funds: 10_000n })
    const customerId = await customerOf(first)
    const accounts = scope === 'account' ? [first] : [first, await bank.newAccount({ customerId, funds: 10_000n })]
    const limitId = await set({ scope, subjectId: scope === 'account' ? first : customerId, period, most: gbp(1_000) })
    const consents = await Promise.all(
      Array.from({ length: 12 }, (_, index) => agreed({ from: accounts[index % accounts.length] as AccountId, minor: 300 })),
    )
    const payments = await Promise.all(consents.map((consent) => submit(consent)))
    const held = payments.filter(({ status }) => status === 'held')
    assert.equal(held.length, 3)
    for (const payment of payments) assert.deepEqual(outcome(payment), payment.status === 'held' ? paid : refusedBy(limitId))
    assert.deepEqual(outcome(await pay({ from: first, minor: 101 })), refusedBy(limitId))
    assert.deepEqual(outcome(await pay({ from: first, minor: 100 })), paid)

    const given = held[0] as Payment
    await bank.owner.query(
      sql.unsafe`update payments.payment set status = 'rejected', rejection_reason = 'AB03' where payment_id = ${given.id}`,
    )
    assert.deepEqual(outcome(await pay({ from: first, minor: 301 })), refusedBy(limitId))
    assert.deepEqual(outcome(await pay({ from: first, minor: 300 })), paid)
  })

test('payments of several customers that race in batches do not wait for each other for ever', async () => {
  const accounts = await Promise.all(Array.from({ length: 4 }, () => bank.newAccount({ funds: 10_000n })))
  for (const account of accounts) await set({ scope: 'customer', subjectId: await customerOf(account), period: 'day', most: gbp(500) })
  const consents = await Promise.all(accounts.map((from) => agreed({ from, minor: 100 })))
  const ask = (order: readonly TestConsent[]) =>
    transact(bank.owner, (tx) =>
      tx.query(sql.unsafe`
        select payments.limits_in_the_way(${sql.timestamp(noon)}, ${sql.array(
          order.map(({ consentId }) => consentId),
          'text',
        )}, array_fill('uk_v4'::text, array[4]))`),
    )
  await Promise.all(Array.from({ length: 12 }, (_, index) => ask(index % 2 === 0 ? consents : consents.toReversed())))
})

test('in one call, payments are refused as if they came one after another: one that is refused leaves room for the next', async () => {
  const [one, other] = [await bank.newAccount({ funds: 10_000n }), await bank.newAccount({ funds: 10_000n })]
  const daily = await set({ scope: 'account', subjectId: one, period: 'day', most: gbp(1_000) })
  const atOnce = await set({ scope: 'account', subjectId: one, period: 'payment', most: gbp(800) })
  const wishes: readonly (readonly [AccountId, number])[] = [
    [one, 600],
    [other, 5_000],
    [one, 900],
    [one, 500],
    [one, 400],
    [one, 1],
  ]
  const consents = await Promise.all(wishes.map(([from, minor]) => agreed({ from, minor })))
  const ids = sql.array(
    consents.map(({ consentId }) => consentId),
    'text',
  )
  const answer = await transact(bank.owner, (tx) =>
    tx.oneFirst(sql.unsafe`select payments.limits_in_the_way(${sql.timestamp(noon)}, ${ids}, array_fill('uk_v4'::text, array[6]))`),
  )
  const word = (found: unknown) => (found === daily ? 'daily' : found === atOnce ? 'at once' : found)
  assert.deepEqual((answer as unknown[]).map(word), [null, null, 'at once', 'daily', null, 'daily'])
})

test('PIS-06 a limit for one payment has a reason of its own, and holds to the minor unit, beyond what a float knows', async () => {
  const most = 12_345_678_901_234_567_890_123n
  const from = await bank.newAccount({ funds: 10n * most })
  const limitId = await set({ scope: 'account', subjectId: from, period: 'payment', most: gbp(most) })
  assert.deepEqual(outcome(await pay({ from, minor: most + 1n })), refusedBy(limitId, 'AM02'))
  const daily = await set({ scope: 'account', subjectId: from, period: 'day', most: gbp(2n * most + 1n) })
  assert.deepEqual(outcome(await pay({ from, minor: most })), paid)
  assert.deepEqual(outcome(await pay({ from, minor: most })), paid)
  assert.deepEqual(outcome(await pay({ from, minor: 2 })), refusedBy(daily))
  assert.deepEqual(outcome(await pay({ from, minor: 1 })), paid)
})

test('a limit of each consent, and through one channel, leaves the others alone', async () => {
  const [from, to] = [await bank.newAccount({ funds: 10_000n }), await bank.newAccount()]
  const each = await set({ scope: 'consent', subjectId: undefined, period: 'payment', most: gbp(2_000) })
  const uk = await set({ scope: 'account', subjectId: from, period: 'day', most: gbp(500), channel: 'uk_v4' })
  assert.deepEqual(outcome(await pay({ from, minor: 2_001 })), refusedBy(each, 'AM02'))
  const own = { kind: 'transfer', creditorAccountId: to, from } as const
  const transferOf = async (minor: number) => {
    const request = { creditorAccount: { account_id: to } }
    const initiation = { debtorAccountId: from, creditorAccountId: to, amount: gbp(minor) }
    return bank.submit(await agreed({ ...own, minor, request }), { channel: 'bank_api', initiation })
  }
  assert.deepEqual(outcome(await transferOf(1_000)), paid)
  assert.deepEqual(outcome(await pay({ from, minor: 501 })), refusedBy(uk))
  assert.deepEqual(outcome(await pay({ from, minor: 500 })), paid)
  assert.equal(await end(each), true)
})

test('a limit that names an account stands in the place of the one of each, and a new one in the place of the old', async () => {
  const [usual, special] = [await bank.newAccount({ funds: 10_000n }), await bank.newAccount({ funds: 10_000n })]
  const each = await set({ scope: 'account', subjectId: undefined, period: 'day', most: gbp(300) })
  await set({ scope: 'account', subjectId: special, period: 'day', most: gbp(100) })
  const raised = await set({ scope: 'account', subjectId: special, period: 'day', most: gbp(900) })
  assert.deepEqual(outcome(await pay({ from: usual, minor: 301 })), refusedBy(each))
  assert.deepEqual(outcome(await pay({ from: special, minor: 301 })), paid)
  assert.deepEqual(outcome(await pay({ from: special, minor: 600 })), refusedBy(raised))
  assert.deepEqual(
    (await transact(bank.worker, (tx) => listLimits(tx, [special]))).map((limit) => limitInWords(limit)),
    ['GBP 9.00 a day from this account'],
  )
  assert.equal(await end(each), true)
  assert.equal(await end(each), false)
  assert.deepEqual(outcome(await pay({ from: usual, minor: 301 })), paid)
})

test('a limit of another currency is not asked, and what has no funds is not counted', async () => {
  const from = await bank.newAccount({ funds: 500n })
  await set({ scope: 'account', subjectId: from, period: 'day', most: { minor: 0n, currency: 'EUR' } })
  const limitId = await set({ scope: 'account', subjectId: from, period: 'day', most: gbp(600) })
  assert.deepEqual(outcome(await pay({ from, minor: 501 })), ['rejected', 'AM04', undefined])
  assert.deepEqual(outcome(await pay({ from, minor: 601 })), refusedBy(limitId))
  assert.deepEqual(outcome(await pay({ from, minor: 500 })), paid)
})

test('a day and a month begin at midnight in London, in summer too; a window counts what it began with', async () => {
  const from = await bank.newAccount({ funds: 100_000n })
  const daily = await set({ scope: 'account', subjectId: from, period: 'day', most: gbp(100) })
  for (const [time, expected] of [
    ['2026-06-14T22:59:59Z', paid],
    ['2026-06-14T22:59:59.999Z', refusedBy(daily)],
    ['2026-06-14T23:00:00Z', paid],
    ['2026-06-15T22:59:00Z', refusedBy(daily)],
    ['2026-06-15T23:00:00Z', paid],
  ] as const)
    assert.deepEqual(outcome(await pay({ from, minor: 100, now: at(time) })), expected, time)
  assert.equal(await end(daily), true)

  const monthly = await set({ scope: 'account', subjectId: from, period: 'month', most: gbp(400) })
  assert.deepEqual(outcome(await pay({ from, minor: 101, now: at('2026-06-30T22:30:00Z') })), refusedBy(monthly))
  assert.deepEqual(outcome(await pay({ from, minor: 400, now: at('2026-06-30T23:00:00Z') })), paid)
  assert.equal(await end(monthly), true)

  const window = await set({ scope: 'account', subjectId: from, period: { hours: 2 }, most: gbp(100) })
  const start = at('2026-08-03T10:30:00Z')
  assert.deepEqual(outcome(await pay({ from, minor: 100, now: start })), paid)
  for (const [after, expected] of [
    [hourMs, refusedBy(window)],
    [2 * hourMs, refusedBy(window)],
    [2.5 * hourMs, paid],
  ] as const)
    assert.deepEqual(outcome(await pay({ from, minor: 100, now: new Date(start.getTime() + after) })), expected, String(after))
})

test('a soft limit refuses what was not confirmed with the payment, a hard one whatever was confirmed', async () => {
  const from = await bank.newAccount({ funds: 10_000n })
  const customerId = await customerOf(from)
  const own = (most: number, soft: boolean) =>
    transact(authServer, (tx) =>
      setLimit(tx, {
        ...ofBank,
        setBy: 'customer',
        scope: 'customer',
        subjectId: customerId,
        period: 'day',
        most: gbp(most),
        soft,
        actor: customerId,
      }),
    )
  const [soft, hard] = [await own(100, true), await own(1_000, false)]
  assert.deepEqual(outcome(await pay({ from, minor: 101 })), refusedBy(soft))
  assert.deepEqual(outcome(await pay({ from, minor: 100 })), paid)
  const confirmed = async (minor: number) => {
    const consent = await agreed({ from, minor })
    const shown = await transact(authServer, (tx) =>
      tx.any(
        sql.unsafe`select account_id, limit_id from payments.soft_limits_beyond(${sql.timestamp(noon)}, ${consent.consentId}, ${customerId}, 'uk_v4')`,
      ),
    )
    assert.deepEqual(shown, [{ account_id: from, limit_id: soft }])
    await bank.owner.query(
      sql.unsafe`update consents.consent set confirmed_limits = ${sql.array([soft, hard], 'text')} where consent_id = ${consent.consentId}`,
    )
    return submit(consent)
  }
  assert.deepEqual(outcome(await confirmed(800)), paid)
  assert.deepEqual(outcome(await pay({ from, minor: 1 })), refusedBy(soft))
  assert.deepEqual(outcome(await confirmed(101)), refusedBy(hard))
  assert.deepEqual(outcome(await confirmed(100)), paid)
})

test('what was paid and not rejected is what is counted', async () => {
  await advancePayments(bank.worker, { now: noon, limit: 1_000 })
  const wrong = await bank.owner.any(sql.unsafe`
    select * from payments.spent s full join (
      select debtor_account_id as account_id, date_trunc('hour', created_at, 'UTC') as hour, channel, sum(amount_minor) as minor, count(*) as payments
      from payments.payment where status <> 'rejected' group by 1, 2, 3) p using (account_id, hour, channel)
    where (coalesce(s.spent_minor, 0), coalesce(s.payment_count, 0)) <> (coalesce(p.minor, 0), coalesce(p.payments, 0))`)
  assert.deepEqual(wrong, [])
})
