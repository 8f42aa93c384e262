import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { sql, transact, z } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import type { AccountId } from '../ids.ts'
import { newLimitId } from '../ids.ts'
import { movementKey } from '../ledger/movement-key.ts'
import { openMovementWriter } from '../ledger/movement-writer.ts'
import { reconcile } from '../ledger/reconcile.ts'
import { refusalOf } from '../refusal.ts'
import type { PaymentOrder, Submitted } from './payment-order.ts'
import { openPaymentSubmitter, type PaymentSubmitter, type PaymentSubmitterOptions } from './payment-submitter.ts'
import { gbp, later, noon, openTestBank, type TestBank, type TestConsent } from './testing/test-bank.ts'

let bank: TestBank
const opened: PaymentSubmitter[] = []

before(async () => {
  bank = await openTestBank()
})
after(async () => {
  await Promise.all(opened.map((submitter) => submitter.close()))
  await bank.close()
})

/** What another process would have. */
function another(options: Partial<PaymentSubmitterOptions> = {}): PaymentSubmitter {
  const submitter = openPaymentSubmitter(bank.urls.resourceApiUrl, { clock: { now: () => noon }, ...options })
  opened.push(submitter)
  return submitter
}
const orderOf = (consent: TestConsent, key: string = randomUUID(), request?: unknown): PaymentOrder =>
  ({ ...consent, channel: 'uk_v4', key: bank.keyOf(consent, key, request) }) as PaymentOrder
const word = (outcome: PromiseSettledResult<Submitted>): string => {
  if (outcome.status === 'rejected') return refusalOf(outcome.reason)?.code ?? String(outcome.reason)
  return 'replayed' in outcome.value ? 'replayed' : (outcome.value.made.rejectionReason ?? outcome.value.made.status)
}
const words = async (submissions: readonly Promise<Submitted>[]) => (await Promise.allSettled(submissions)).map(word)
const consents = (count: number, from: AccountId, to: AccountId, minor: (index: number) => number = () => 100) =>
  Promise.all(
    Array.from({ length: count }, (_, index) =>
      bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(minor(index)) }),
    ),
  )
const counted = (query: ReturnType<typeof sql.fragment>) =>
  bank.owner.oneFirst(sql.type(z.object({ count: z.bigint() }))`select count(*) from ${query}`)
const pair = async (funds = 10_000n) => [await bank.newAccount({ funds }), await bank.newAccount()] as const

test('those that come together and draw on one account are held as if one after another, in the order in which they came', async () => {
  const [from, to] = await pair(1_000n)
  const amounts = [300, 400, 400, 300, 100, 1]
  const asked = await consents(amounts.length, from, to, (index) => amounts[index] ?? 0)
  assert.deepEqual(await words(asked.map((consent) => bank.payments.submit(orderOf(consent)))), [
    'held',
    'held',
    'AM04',
    'held',
    'AM04',
    'AM04',
  ])
  assert.equal(await counted(sql.fragment`ledger.hold where account_id = ${from}`), 3n)
  assert.equal(await bank.owner.oneFirst(sql.unsafe`select held_minor from ledger.account where account_id = ${from}`), 1_000n)
})

test('a limit and funds together are decided in the order in which they came: what has no funds takes nothing of the limit', async () => {
  const [from, to] = await pair(300n)
  await bank.owner.query(sql.unsafe`
    insert into payments.spending_limit (limit_id, set_by, scope, subject_id, period, currency, most_minor, is_soft, set_at)
    values (${newLimitId()}, 'bank', 'account', ${from}, 'day', 'GBP', 500, false, ${sql.timestamp(noon)})`)
  const amounts = [400, 200, 301, 101, 100]
  const asked = await consents(amounts.length, from, to, (index) => amounts[index] ?? 0)
  assert.deepEqual(await words(asked.map((consent) => bank.payments.submit(orderOf(consent)))), ['AM04', 'held', 'AM14', 'AM04', 'held'])
})

test('PIS-15 eight at once with one consent, in two processes: exactly one payment, and nothing of the others', async () => {
  const [from, to] = await pair()
  const [consent] = (await consents(1, from, to)) as [TestConsent]
  const other = another()
  const said = await words(Array.from({ length: 8 }, (_, index) => (index % 2 ? other : bank.payments).submit(orderOf(consent))))
  assert.deepEqual(said.toSorted(), [...Array(7).fill('consent_already_used'), 'held'])
  assert.equal(await counted(sql.fragment`payments.payment where consent_id = ${consent.consentId}`), 1n)
  assert.equal(await counted(sql.fragment`ledger.hold where account_id = ${from}`), 1n)
  assert.equal(
    await counted(sql.fragment`payments.idempotent_request where resource_id in (
    select payment_id from payments.payment where consent_id = ${consent.consentId})`),
    1n,
  )
})

test('RW-ID-06 eight at once with one key, in two processes: one payment, which all of them find', async () => {
  const [from, to] = await pair()
  const [consent] = (await consents(1, from, to)) as [TestConsent]
  const other = another()
  const key = randomUUID()
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, index) => (index % 2 ? other : bank.payments).submit(orderOf(consent, key))),
  )
  const ids = outcomes.map(
    (outcome) => outcome.status === 'fulfilled' && ('made' in outcome.value ? outcome.value.made.id : outcome.value.replayed),
  )
  assert.equal(new Set(ids).size, 1, outcomes.map(word).join())
  assert.equal(outcomes.filter((outcome) => word(outcome) === 'held').length, 1)
})

test('RW-ID-04 RW-ID-05 one key for two consents: the second is told so, a refused one leaves it as new, and after a day it is', async () => {
  const [from, to] = await pair()
  const [one, two, three] = (await consents(3, from, to)) as [TestConsent, TestConsent, TestConsent]
  const key = randomUUID()
  const wrong = { ...orderOf(one, key, 'wrong'), initiation: {} } as PaymentOrder
  const together = [wrong, orderOf(one, key), orderOf(two, key), orderOf(one, key)].map((order) => bank.payments.submit(order))
  assert.deepEqual(await words(together), ['consent_mismatch', 'held', 'idempotency_key_reused', 'replayed'])
  const aDayLater = another({ clock: { now: () => later(24 * 60 * 60 * 1000 - 1) } })
  assert.deepEqual(await words([aDayLater.submit(orderOf(three, key))]), ['idempotency_key_reused'])
  await bank.owner.query(
    sql.unsafe`update payments.idempotent_request set created_at = ${sql.timestamp(later(-24 * 60 * 60 * 1000))} where key = ${key}`,
  )
  assert.deepEqual(await words([bank.payments.submit(orderOf(three, key))]), ['held'])
})

test('PIS-15 CON-03 a consent of another client, or not used within a day, pays nothing', async () => {
  const [from, to] = await pair()
  const [theirs, old] = (await consents(2, from, to)) as [TestConsent, TestConsent]
  const asOther = { ...theirs, access: { ...theirs.access, clientId: 'other-party' } }
  const aDayLater = another({ clock: { now: () => later(24 * 60 * 60 * 1000) } })
  assert.deepEqual(await words([bank.payments.submit(orderOf(asOther)), aDayLater.submit(orderOf(old))]), [
    'consent_not_yours',
    'consent_not_authorised',
  ])
})

test('a client blocked, a grant ended, a token taken back while its payment waits: it is not made', async () => {
  const [from, to] = await pair()
  const [ofBlocked, ofEnded, ofRevoked, sound] = (await consents(4, from, to)) as [TestConsent, TestConsent, TestConsent, TestConsent]
  const tokenHash = Buffer.alloc(32, 7)
  const waiting: Promise<string[]>[] = []
  const theirs = { ...ofBlocked, access: { ...ofBlocked.access, clientId: 'other-party' } }
  await bank.owner.query(
    sql.unsafe`insert into oidc.revoked_token (token_hash, expires_at) values (${sql.binary(tokenHash)}, now() + interval '1 day')`,
  )
  // As another process that decides on these consents: until it is done, the payments wait.
  await transact(bank.owner, async (tx) => {
    await tx.query(sql.unsafe`select from consents.consent where debtor_account_id = ${from} for update`)
    const revoked = { ...ofRevoked, access: { ...ofRevoked.access, tokenHash } }
    waiting.push(words([theirs, ofEnded, revoked, sound].map((consent) => bank.payments.submit(orderOf(consent)))))
    await sleep(50)
    await tx.query(sql.unsafe`update clients.client set status = 'blocked' where client_id = 'other-party'`)
    await tx.query(sql.unsafe`update oidc.grant set revoked_at = now() where grant_id = ${`grant-of-${ofEnded.consentId}`}`)
  })
  assert.deepEqual(await waiting[0], ['client_blocked', 'grant_revoked', 'grant_revoked', 'held'])
  await bank.owner.query(sql.unsafe`update clients.client set status = 'active' where client_id = 'other-party'`)
  assert.equal(await counted(sql.fragment`consents.consent where debtor_account_id = ${from} and status = 'COND'`), 1n)
})

test('a fault of one, and a key whose first request still runs elsewhere, are told to that one alone', async () => {
  const [from, to] = await pair()
  const [one, keyed, two] = (await consents(3, from, to)) as [TestConsent, TestConsent, TestConsent]
  const dollars = await bank.newConsent({ debtorAccountId: from, amount: { minor: 100n, currency: 'USD' } })
  const key = randomUUID()
  await transact(bank.owner, async (tx) => {
    await tx.query(sql.unsafe`
      insert into payments.idempotent_request values ('third-party', 'POST', '/payments', ${key}, ''::bytea, 'pay_elsewhere', ${sql.timestamp(noon)})`)
    const [first, faulty, inUse, last] = await words([
      ...[orderOf(one), orderOf(dollars), orderOf(keyed, key), orderOf(two)].map((order) => bank.payments.submit(order)),
    ])
    assert.deepEqual([first, inUse, last], ['held', 'idempotency_key_in_use', 'held'])
    assert.match(faulty ?? '', /no such account in this currency/)
  })
  assert.deepEqual(await words([bank.payments.submit(orderOf(keyed, key))]), ['idempotency_key_reused'])
})

test('who is submitted by itself, after a fault of another, waits for the answer of no other', async () => {
  const to = await bank.newAccount()
  const ofSomebody = async () => (await consents(1, await bank.newAccount({ funds: 10_000n }), to))[0] as TestConsent
  const [sound, keyed] = [await ofSomebody(), await ofSomebody()]
  const key = randomUUID()
  await transact(bank.owner, async (tx) => {
    await tx.query(sql.unsafe`
      insert into payments.idempotent_request values ('third-party', 'POST', '/payments', ${key}, ''::bytea, 'pay_elsewhere', ${sql.timestamp(noon)})`)
    const told: string[] = []
    const [first, last] = [orderOf(sound), orderOf(keyed, key)].map(async (order) =>
      told.push(...(await words([bank.payments.submit(order)]))),
    )
    await first
    await nextTurn()
    assert.deepEqual(told, ['held'])
    await last
    assert.deepEqual(told, ['held', 'idempotency_key_in_use'])
  })
})

test('who comes when too many wait is told to come again, and so is who has waited for too long', async () => {
  const [from, to] = await pair()
  const [first, second, third] = (await consents(3, from, to)) as [TestConsent, TestConsent, TestConsent]
  const narrow = another({ lanes: 1, paymentsPerCall: 1, waitingAtMost: 2, waitAtMostMs: 100 })
  const running = await transact(bank.owner, async (tx) => {
    await tx.query(sql.unsafe`select from consents.consent where consent_id = ${first.consentId} for update`)
    const running = Promise.allSettled([narrow.submit(orderOf(first))])
    await sleep(20)
    const behind = words([narrow.submit(orderOf(second)), narrow.submit(orderOf(third))])
    await assert.rejects(narrow.submit(orderOf(third)), Unavailable)
    assert.deepEqual(await behind, Array(2).fill('Unavailable: too many payments wait'))
    await tx.query(sql.unsafe`select 1`)
    return [running] as const
  })
  // What comes now waits for nobody, however slow the machine is.
  await running[0]
  assert.deepEqual(await words([narrow.submit(orderOf(second))]), ['held'])
})

for (const straight of [false, true])
  test(`calls whose connections are cut are asked again: every payment once, and each is told of its own (${straight ? 'posted' : 'held'})`, async () => {
    await bank.straightThrough(straight)
    const [from, to] = await pair()
    const asked = await consents(12, from, to, () => 1)
    const other = another()
    let cutting = true
    const cut = (async () => {
      while (cutting) {
        await bank.owner.query(sql.unsafe`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and usename = 'bankside_resource_api' and query like '%payments.submit%' and state = 'active' limit 1`)
        await sleep(20)
      }
    })()
    const said: string[] = []
    for (let index = 0; index < asked.length; index += 6)
      said.push(
        ...(await words(
          asked.slice(index, index + 6).map((consent, place) => (place % 2 ? other : bank.payments).submit(orderOf(consent))),
        )),
      )
    cutting = false
    await cut
    assert.ok(
      said.every((one) => one === (straight ? 'posted' : 'held') || one === 'replayed' || one.startsWith('Unavailable')),
      said.join(),
    )
    const again = await words(asked.map((consent) => bank.payments.submit(orderOf(consent))))
    assert.equal(
      again.filter((one) => one === 'consent_already_used').length >= said.filter((one) => !one.startsWith('Unavailable')).length,
      true,
    )
    assert.equal(await counted(sql.fragment`payments.payment where debtor_account_id = ${from}`), 12n)
    assert.equal(
      await counted(
        straight ? sql.fragment`ledger.posting where account_id = ${to}` : sql.fragment`ledger.hold where account_id = ${from}`,
      ),
      12n,
    )
    await bank.straightThrough(false)
  })

test('payments, movements, blocking and refusals by two processes over the same accounts never wait for each other in a ring', async () => {
  const accounts = await Promise.all(Array.from({ length: 4 }, () => bank.newAccount({ funds: 100_000n })))
  const at = (index: number) => accounts[index % accounts.length] as AccountId
  const asked = await Promise.all(
    Array.from({ length: 80 }, (_, index) =>
      bank.newConsent({ debtorAccountId: at(index), creditorAccountId: at(index + 1 + (index % 3)), amount: gbp(1) }),
    ),
  )
  const processes = [bank.payments, another(), another({ paymentsPerCall: 3 })]
  await bank.straightThrough(true)
  const writer = openMovementWriter(bank.urls.ledgerUrl, { clock: { now: () => noon } })
  const moves = Array.from({ length: 80 }, (_, index) => {
    const operation = { kind: 'transfer', from: at(index + 1), to: at(index), amount: gbp(1), description: 'd', reference: 'r' } as const
    const key = movementKey({ clientId: 'x', method: 'POST', endpoint: '/', key: String(index), request: index })
    return writer.write({ key, operations: [operation], actor: 'test' })
  })
  const blocking = Array.from({ length: 10 }, (_, index) =>
    bank.owner.query(
      sql.unsafe`update clients.client set updated_at = now() where client_id = ${index % 2 ? 'third-party' : 'other-party'}`,
    ),
  )
  const submitted = asked.map((consent, index) => () => (processes[index % 3] as PaymentSubmitter).submit(orderOf(consent)))
  // Those that do not wait for the worker, and those that do.
  const early = submitted.slice(0, 40).map((submit) => submit())
  await Promise.any(early)
  const turnedOff = bank.straightThrough(false)
  const late = submitted.slice(40, 60).map((submit) => submit())
  await turnedOff
  const said = await words([...early, ...late, ...submitted.slice(60).map((submit) => submit())])
  assert.deepEqual(new Set(said), new Set(['held', 'posted']))
  await Promise.all([...moves, ...blocking])
  await writer.close()
  assert.equal(await bank.owner.oneFirst(sql.unsafe`select deadlocks from pg_stat_database where datname = current_database()`), 0n)
  assert.deepEqual(await reconcile(bank.worker), [])
})
