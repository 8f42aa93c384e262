import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { untilWaitingForLocks } from '@bankside/service-kit/test-lock-waits'
import type { AccountId, PaymentId } from '../ids.ts'
import { reconcile } from '../ledger/reconcile.ts'
import { advancePayments } from './advance-payments.ts'
import { readPaymentLife } from './payment-life.ts'
import { openPaymentSubmitter } from './payment-submitter.ts'
import { setStraightThrough, straightThroughIsKnown } from './straight-through.ts'
import { submissionValues, toSubmission } from './submission-call.ts'
import { gbp, noon, openTestBank, type TestBank } from './testing/test-bank.ts'
import { assertWhoChecks, returnToBuiltInCheck } from './who-checks.ts'

let bank: TestBank
before(async () => {
  bank = await openTestBank({ straightThrough: true })
})
after(() => bank.close())

const funds = 10_000_000n
const agreed = (from: AccountId, to: AccountId | undefined, minor: number) =>
  bank.newConsent({ debtorAccountId: from, ...(to && { creditorAccountId: to }), amount: gbp(minor) })
async function pay(from: AccountId, to: AccountId | undefined, minor: number) {
  return bank.submit(await agreed(from, to, minor))
}
const advance = () => advancePayments(bank.worker, { now: noon, limit: 100 })
const balance = async (accountId: AccountId) =>
  Object.values(
    await bank.owner.one(
      sql.type(z.object({ posted_minor: z.bigint(), held_minor: z.bigint() }))`
        select posted_minor, held_minor from ledger.account where account_id = ${accountId}`,
    ),
  )
const life = (paymentId: PaymentId) => transact(bank.owner, (tx) => readPaymentLife(tx, paymentId))
const rows = (query: ReturnType<typeof sql.unsafe>) => bank.owner.any(query)

test('PIS-16 what nothing waits for is posted in the transaction in which it comes: money, consent, event, notification, audit, and no hold', async () => {
  const [from, to] = [await bank.newAccount({ funds }), await bank.newAccount()]
  const consent = await agreed(from, to, 1_000)
  const made = await bank.submit(consent, { key: 'once' })
  assert.deepEqual([made.status, made.step, made.statusUpdatedAt], ['posted', undefined, noon])
  assert.deepEqual(
    [await balance(from), await balance(to)],
    [
      [funds - 1_000n, 0n],
      [1_000n, 0n],
    ],
  )
  assert.deepEqual(await rows(sql.unsafe`select from ledger.hold where account_id = ${from}`), [])
  const { score, reasons, told, done } = await life(made.id)
  assert.deepEqual([score, reasons.map(({ rule, fact }) => `${rule} ${fact}`)], [0, ['small_amount 10', 'new_payee 1', 'new_device 1']])
  assert.deepEqual(told, [{ type: 'payment.posted', occurredAt: noon, deliveredAt: noon }])
  assert.deepEqual(
    done.map(({ action, actor, details }) => [action, actor, (details as { status: string }).status]),
    [['payment.submitted', 'third-party', 'posted']],
  )
  assert.deepEqual(
    await rows(sql.unsafe`
      select e.type, e.delivered_at is not null as delivered, n.customer_id is not null as notified
      from events.event e left join events.notification n using (event_id) where e.subject in (${made.id}, ${consent.consentId}) order by e.type`),
    [
      { type: 'consent.consumed', delivered: true, notified: false },
      { type: 'payment.posted', delivered: true, notified: true },
    ],
  )
  assert.equal(await advance(), 0, 'nothing is left to be led on')
  assert.deepEqual(await bank.submitKeyed(consent, { key: 'once' }), { replayed: made.id })
  await assert.rejects(bank.submitKeyed(consent, { key: 'twice' }), { code: 'consent_already_used' })
})

test('money moves by the same entry, and is counted and known the same, whether it waited or not', async () => {
  const seen = []
  for (const straight of [true, false]) {
    await bank.straightThrough(straight)
    const [from, to] = [await bank.newAccount({ funds }), await bank.newAccount()]
    for (const payee of [to, undefined]) {
      const { id } = await pay(from, payee, 1_000)
      if (!straight) assert.equal(await advance(), 1)
      seen.push(
        await rows(sql.unsafe`
          select e.kind, e.currency, e.description, e.reference, e.booked_at, e.value_date, e.actor, p.amount_minor, p.balance_minor, p.posting_number,
            p.counterparty_name, p.counterparty_scheme_name, case when ${payee ?? null}::text is null then p.counterparty_identification end as number,
            s.spent_minor, s.payment_count, y.status, y.entry_id = e.entry_id as named, y.risk_score, y.risk_reasons,
            (select count(*) from payments.known_to_customer k where k.customer_id = y.customer_id) as known
          from payments.payment y join ledger.entry e on e.payment_id = y.payment_id join ledger.posting p on p.entry_id = e.entry_id
            join payments.spent s on s.account_id = y.debtor_account_id
          where y.payment_id = ${id} and (p.account_id = y.debtor_account_id or ${payee ?? null}::text is not null) order by p.amount_minor`),
      )
    }
  }
  await bank.straightThrough(true)
  assert.deepEqual([seen[0]?.length, seen[1]?.length], [2, 1])
  assert.deepEqual(seen.slice(0, 2), seen.slice(2))
})

test('what a person is to look at, and what the check refuses, waits as ever', async () => {
  const from = await bank.newAccount({ funds })
  const [looked, small] = [await pay(from, undefined, 2_000_000), await pay(from, undefined, 1_000)]
  assert.deepEqual([looked.status, looked.step, small.status], ['held', 'checks', 'posted'])
  assert.deepEqual(await balance(from), [funds - 1_000n, 2_000_000n])
  await advance()
  assert.equal((await life(looked.id)).payment.step, 'review')
  await bank.owner.query(sql.unsafe`update payments.risk_threshold set at_least = 80 where verdict = 'refuse'`)
  const refused = await pay(await bank.newAccount({ funds }), undefined, 2_000_000)
  assert.equal(refused.status, 'held')
  await advance()
  assert.deepEqual(
    (await life(refused.id)).told.map(({ type }) => type),
    ['payment.held', 'payment.rejected'],
  )
  await bank.owner.query(sql.unsafe`update payments.risk_threshold set at_least = 110 where verdict = 'refuse'`)
})

test('what cannot be paid is rejected at once, and leaves nothing but that', async () => {
  const [poor, rich, closed, payee] = [
    await bank.newAccount({ funds: 10n }),
    await bank.newAccount({ funds }),
    await bank.newAccount({ funds }),
    await bank.newAccount(),
  ]
  const consents = [await agreed(poor, payee, 11), await agreed(closed, payee, 1), await agreed(rich, payee, 1)]
  await bank.owner.query(sql.unsafe`update ledger.account set status = 'frozen' where account_id = ${closed}`)
  const made = await Promise.all(consents.map((consent) => bank.submit(consent)))
  assert.deepEqual(
    made.map(({ status, rejectionReason }) => [status, rejectionReason]),
    [
      ['rejected', 'AM04'],
      ['rejected', 'AC06'],
      ['posted', undefined],
    ],
  )
  assert.deepEqual(await balance(payee), [1n, 0n])
  assert.deepEqual(await rows(sql.unsafe`select from payments.spent where account_id in (${poor}, ${closed})`), [])
})

test('an account that takes nothing until it is reconciled is paid later: the payment waits, and those beside it do not', async () => {
  const [from, other, frozen] = [await bank.newAccount({ funds }), await bank.newAccount({ funds }), await bank.newAccount()]
  await bank.owner.query(sql.unsafe`update ledger.account set frozen_for = 'a test' where account_id = ${frozen}`)
  const made = await Promise.all([await agreed(from, frozen, 1), await agreed(other, from, 1)].map((consent) => bank.submit(consent)))
  assert.deepEqual(
    made.map(({ status }) => status),
    ['held', 'posted'],
  )
  await bank.owner.query(sql.unsafe`update ledger.account set frozen_for = null where account_id = ${frozen}`)
  assert.equal(await advance(), 1)
})

test('payments of one customer that race, in two processes, do not get past what is counted', async () => {
  const from = await bank.newAccount({ funds })
  await bank.owner.query(sql.unsafe`insert into payments.risk_rule values ('race', 'payments_in_an_hour', 4, null, 200, 'for this test')`)
  const other = openPaymentSubmitter(bank.urls.resourceApiUrl, { clock: { now: () => noon } })
  const consents = await Promise.all(Array.from({ length: 10 }, () => agreed(from, undefined, 1)))
  const made = await Promise.all(
    consents.map(async (consent, index) => {
      const order = { ...consent, channel: 'uk_v4', key: bank.keyOf(consent, `race-${index}`) } as const
      const submitted = await (index % 2 === 0 ? bank.payments : other).submit(order)
      return 'made' in submitted && submitted.made.status
    }),
  )
  assert.deepEqual(made.toSorted(), [...Array(7).fill('held'), ...Array(3).fill('posted')])
  await bank.owner.query(sql.unsafe`delete from payments.risk_rule where rule_id = 'race'`)
  await other.close()
  await advance()
})

test('a check that is elsewhere is not passed by: from the first worker that has it, nothing is posted and no other check is asked', async () => {
  const from = await bank.newAccount({ funds })
  const set = (on: boolean) =>
    transact(bank.owner, (tx) => setStraightThrough(tx, { on, actor: 'operator maud', why: 'it was only a test', now: noon }))
  const elsewhere = () => assertWhoChecks(bank.worker, { elsewhere: true, now: noon })
  const builtIn = () => assertWhoChecks(bank.worker, { elsewhere: false, now: noon })
  assert.deepEqual([await builtIn(), (await pay(from, undefined, 1)).status], [false, 'posted'])
  assert.deepEqual((await Promise.all([elsewhere(), elsewhere(), elsewhere()])).toSorted(), [false, false, true])
  assert.equal((await pay(from, undefined, 1)).status, 'held')
  await assert.rejects(builtIn(), /no RISK_CHECK_URL: .* npm run payments -- check built-in/)
  await assert.rejects(set(true), (error) => violatedConstraint(error) === 'straight_through_passes_no_check')
  await transact(bank.owner, (tx) => returnToBuiltInCheck(tx, { actor: 'operator maud', why: 'it was only a test', now: noon }))
  assert.deepEqual([await builtIn(), (await pay(from, undefined, 1)).status], [false, 'held'])
  await set(true)
  await advance()
  assert.deepEqual(await rows(sql.unsafe`select action, actor from audit.record where subject = 'payments' order by action`), [
    { action: 'payment_check.built_in', actor: 'operator maud' },
    { action: 'payment_check.elsewhere', actor: 'worker' },
    { action: 'straight_through.off', actor: 'worker' },
    { action: 'straight_through.on', actor: 'operator maud' },
  ])
})

test('a worker whose round began before there was a check elsewhere posts nothing that only the built-in check passed', async () => {
  await bank.straightThrough(false)
  const from = await bank.newAccount({ funds })
  const payment = await pay(from, undefined, 1)
  const round = () => advancePayments(bank.worker, { now: noon, limit: 100, onFault: () => assert.fail('it is no fault of a payment') })
  const [ending, noting] = await transact(bank.owner, async (tx) => {
    await tx.query(sql.unsafe`select from ledger.account where account_id = ${from} for no key update`)
    const ending = assert.rejects(round(), /payments are checked elsewhere/)
    await untilWaitingForLocks(bank.owner, 1)
    const noting = assertWhoChecks(bank.worker, { elsewhere: true, now: noon })
    while (!(await bank.owner.exists(sql.unsafe`select from payments.straight_through where check_elsewhere`))) await sleep(5)
    return [ending, noting] as const
  })
  await ending
  assert.equal(await noting, true)
  assert.equal((await life(payment.id)).payment.status, 'held')
  await transact(bank.owner, (tx) => returnToBuiltInCheck(tx, { actor: 'operator maud', why: 'it was only a test', now: noon }))
  assert.equal(await advancePayments(bank.worker, { now: new Date(noon.getTime() + 60_000), limit: 100 }), 1)
  await bank.straightThrough(true)
})

test('whoever turns it off knows when nothing is posted any more: a payment that waited for its account meanwhile is waited for', async () => {
  const from = await bank.newAccount({ funds })
  const set = (on: boolean) =>
    transact(bank.owner, (tx) => setStraightThrough(tx, { on, actor: 'operator maud', why: 'a test', now: noon }))
  const consent = await agreed(from, undefined, 1)
  const held = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const holding = transact(bank.owner, async (tx) => {
    await tx.query(sql.unsafe`select from ledger.account where account_id = ${from} for no key update`)
    locked.resolve()
    await held.promise
  })
  await locked.promise
  const paying = bank.submit(consent)
  await untilWaitingForLocks(bank.owner, 1)
  await set(false)
  let known = false
  const knowing = straightThroughIsKnown(bank.owner).then((answer) => {
    known = answer
  })
  await sleep(100)
  assert.equal(known, false)
  held.resolve()
  await holding
  assert.equal((await paying).status, 'posted')
  await knowing
  assert.equal(known, true)
  assert.equal((await pay(from, undefined, 1)).status, 'held')
  await advance()
  await set(true)
})

test('a resource API that was taken over books nothing in a time to come', async () => {
  const [from, to] = [await bank.newAccount({ funds }), await bank.newAccount()]
  const consent = await agreed(from, to, 1)
  const future = new Date(Date.now() + 8 * 86_400_000)
  await bank.owner.query(
    sql.unsafe`update consents.consent set authorised_at = ${sql.timestamp(future)} where consent_id = ${consent.consentId}`,
  )
  await assert.rejects(bank.submit(consent, { now: future }), (error) => violatedConstraint(error) === 'payment_is_not_of_a_time_to_come')
  assert.deepEqual(await balance(to), [0n, 0n])
})

test('a payment is decided by the keys of what it touches, however few there are', async () => {
  const [from, to] = [await bank.newAccount({ funds }), await bank.newAccount()]
  const consent = await agreed(from, to, 1)
  const order = { ...consent, channel: 'uk_v4', interactionId: 'i', key: bank.keyOf(consent, 'young') } as const
  const values = sql.join(submissionValues([toSubmission(order, consent.consentId, noon)], noon), sql.fragment`, `)
  const read = await transact(bank.owner, async (tx) => {
    await tx.query(sql.unsafe`select from payments.submit(${values})`)
    return tx.any(sql.unsafe`
      select relname, idx_tup_fetch from pg_stat_xact_user_tables where relname in ('consent', 'grant') order by relname`)
  })
  assert.deepEqual(read, [
    { relname: 'consent', idx_tup_fetch: 3n },
    { relname: 'grant', idx_tup_fetch: 1n },
  ])
})

test('at the end of all this the books agree', async () => {
  assert.deepEqual(await reconcile(bank.worker), [])
})
