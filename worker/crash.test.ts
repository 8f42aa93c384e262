import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { deliverEvents } from '@bankside/bank/events/deliver-events'
import type { AccountId } from '@bankside/bank/ids'
import { reconcile } from '@bankside/bank/ledger/reconcile'
import { advancePayments, leaseMs } from '@bankside/bank/payments/advance-payments'
import { gbp, later, noon, openTestBank, type TestBank, type TestConsent } from '@bankside/bank/payments/testing/test-bank'
import { sql, z } from '@bankside/service-kit/postgres'

const rounds = 15
const paymentsPerRound = 12
let bank: TestBank
let accounts: AccountId[]

before(async () => {
  bank = await openTestBank()
  accounts = await Promise.all(Array.from({ length: 4 }, () => bank.newAccount({ funds: 1_000_000n })))
})
after(() => bank.close())

const count = (query: ReturnType<typeof sql.fragment>) =>
  bank.owner.oneFirst(sql.type(z.object({ count: z.bigint() }))`select count(*) from ${query}`)
const pick = <Item>(items: readonly Item[], index: number): Item => items[index % items.length] as Item
const newConsents = (round: number): Promise<TestConsent[]> =>
  Promise.all(
    Array.from({ length: paymentsPerRound }, (_, index) =>
      bank.newConsent({
        debtorAccountId: pick(accounts, index + round),
        creditorAccountId: pick(accounts, index + round + 1),
        amount: gbp(100 + index),
      }),
    ),
  )

/** A process that submits the consents, posts and delivers, as fast as it can. */
function startChild(consents: readonly TestConsent[]): ChildProcess {
  const { resourceApiUrl, workerUrl } = bank.urls
  const orders = consents.map((consent) => {
    const { access, consentId, initiation } = consent
    return { access: { ...access, accounts: [...access.accounts] }, consentId, initiation, key: bank.keyOf(consent, keyFor(consent)) }
  })
  const input = JSON.stringify({ resourceApiUrl, workerUrl, orders, now: noon })
  const child = spawn(process.execPath, [join(import.meta.dirname, 'testing', 'pay-until-killed.ts')], {
    stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
  })
  child.stdin?.end(input)
  return child
}

/** One for each, the same each time. */
const keyFor = ({ consentId }: TestConsent) => consentId.slice(-20)

test('a process killed at any moment loses nothing and repeats nothing: the next one finishes its payments', async () => {
  const asked: TestConsent[] = []
  for (let round = 0; round < rounds; round++) {
    const consents = await newConsents(round)
    asked.push(...consents)
    await bank.straightThrough(round % 2 === 0)
    const child = startChild(consents)
    const ended = once(child, 'exit')
    await Promise.race([once(child, 'message'), ended.then(() => assert.fail('it ended by itself'))])
    await sleep(Math.random() * 150)
    child.kill('SIGKILL')
    await ended
  }
  const submitted = await count(sql.fragment`payments.payment`)
  const interrupted = await count(sql.fragment`payments.payment where status = 'held'`)
  assert.ok(submitted > 0n && submitted < BigInt(rounds * paymentsPerRound), `${submitted} were submitted: kill earlier or later`)

  // What was made is found under its key, and whatever was not is as new. The last call of the dead may have been committed since.
  const again = await Promise.all(asked.map((consent) => bank.submitKeyed(consent, { key: keyFor(consent) })))
  assert.ok(again.filter((one) => 'replayed' in one).length >= submitted)
  const payments = BigInt(asked.length)

  // What the dead had taken is theirs until its lease ends, and a connection of theirs may still hold locks for a moment.
  for (let tries = 0; (await count(sql.fragment`payments.payment where status = 'held'`)) > 0n; tries++) {
    assert.ok(tries < 100, 'payments stay held')
    await advancePayments(bank.worker, { now: later(leaseMs), limit: 1_000 })
  }
  while ((await deliverEvents(bank.worker, { now: later(leaseMs), limit: 1_000 })) > 0);

  assert.equal(await count(sql.fragment`payments.payment where status = 'posted'`), payments, `${interrupted} were taken over`)
  assert.equal(await count(sql.fragment`ledger.entry where payment_id is not null`), payments)
  assert.equal(await count(sql.fragment`consents.consent where status = 'COND'`), payments)
  const atOnce = sql.fragment`payments.payment where hold_id is null`
  const [straight, led] = [await count(atOnce), await count(sql.fragment`ledger.hold`)]
  assert.ok(straight > 0n && led > 0n, `${straight} were posted at once, ${led} were held first`)
  assert.equal(straight + led, payments)
  assert.equal(await count(sql.fragment`events.event where type = 'payment.held'`), led)
  assert.equal(await count(sql.fragment`events.event where type = 'payment.posted'`), payments)
  assert.equal(await count(sql.fragment`events.notification where type = 'payment.posted'`), payments)
  assert.equal(await count(sql.fragment`audit.record where action = 'payment.posted'`), led)
  assert.equal(await count(sql.fragment`audit.record where action = 'payment.submitted' and details ->> 'status' = 'posted'`), straight)
  assert.equal(await count(sql.fragment`ledger.hold where status = 'active'`), 0n)
  const total = await bank.owner.oneFirst(sql.unsafe`select sum(posted_minor)::bigint from ledger.account where kind = 'customer'`)
  assert.equal(total, 4_000_000n)
  assert.deepEqual(await reconcile(bank.worker), [])
})
