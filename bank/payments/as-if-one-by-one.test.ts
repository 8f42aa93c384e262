import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { sql } from '@bankside/service-kit/postgres'
import { type AccountId, newLimitId } from '../ids.ts'
import { reconcile } from '../ledger/reconcile.ts'
import { type Random, randomFrom } from '../ledger/testing/random.ts'
import { refusalOf } from '../refusal.ts'
import type { PaymentOrder, Submitted } from './payment-order.ts'
import type { PaymentSubmitter } from './payment-submitter.ts'
import { gbp, noon, openTestBank, type TestBank, type TestConsent } from './testing/test-bank.ts'

const seeds = [1, 2, 3, 4, 5, 6]
const consentsPerSeed = 14
const submissionsPerSeed = 40

let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

/** What is asked for, of two sides that are alike. */
type Plan = {
  readonly funds: readonly bigint[]
  readonly limit: number
  readonly consents: readonly { readonly from: number; readonly to: number; readonly minor: bigint }[]
  readonly submissions: readonly { readonly consent: number; readonly key: number; readonly wrong: boolean; readonly pause: boolean }[]
}

function planFrom(random: Random): Plan {
  return {
    funds: Array.from({ length: 3 }, () => random.amount(2_000n)),
    limit: 100 + random.below(1_500),
    consents: Array.from({ length: consentsPerSeed }, () => {
      return { from: random.below(3), to: random.below(3), minor: random.amount(1_000n) }
    }),
    submissions: Array.from({ length: submissionsPerSeed }, (_, index) => {
      // Half of the keys were used before, or will be.
      const key = random.chance(0.5) ? random.below(submissionsPerSeed) : index
      return { consent: random.below(consentsPerSeed), key, wrong: random.chance(0.15), pause: random.chance(0.2) }
    }),
  }
}

type Side = { readonly accounts: readonly AccountId[]; readonly orders: readonly PaymentOrder[] }

async function sideOf({ funds, limit, consents, submissions }: Plan, name: string): Promise<Side> {
  const accounts = await Promise.all(funds.map((minor) => bank.newAccount({ funds: minor })))
  // The first has a limit; the last of those that are paid is closed.
  const payees = [await bank.newAccount(), accounts[1] as AccountId, await bank.newAccount()]
  await bank.owner.query(sql.unsafe`
    insert into payments.spending_limit (limit_id, set_by, scope, subject_id, period, currency, most_minor, is_soft, set_at)
    values (${newLimitId()}, 'bank', 'account', ${accounts[0] as AccountId}, 'day', 'GBP', ${limit}, false, ${sql.timestamp(noon)})`)
  const given: TestConsent[] = []
  for (const { from, to, minor } of consents)
    given.push(
      await bank.newConsent({
        debtorAccountId: accounts[from] as AccountId,
        creditorAccountId: payees[to] as AccountId,
        amount: gbp(minor),
      }),
    )
  await bank.owner.query(sql.unsafe`update ledger.account set status = 'closed' where account_id = ${payees[2] as AccountId}`)
  const orders = submissions.map(({ consent, key, wrong }) => {
    const asked = given[consent] as TestConsent
    const order = { ...asked, channel: 'uk_v4', key: bank.keyOf(asked, `${name}-${key}`, { consent, wrong }) }
    return (wrong ? { ...order, initiation: {} } : order) as PaymentOrder
  })
  return { accounts, orders }
}

/** A replay names the submission that made the payment. */
function wordsOf(outcomes: readonly PromiseSettledResult<Submitted>[]): string[] {
  const makers = new Map<string, number>()
  for (const [index, outcome] of outcomes.entries())
    if (outcome.status === 'fulfilled' && 'made' in outcome.value) makers.set(outcome.value.made.id, index)
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') return refusalOf(outcome.reason)?.code ?? String(outcome.reason)
    const { value } = outcome
    return 'replayed' in value ? `replayed ${makers.get(value.replayed)}` : `${value.made.status} ${value.made.rejectionReason ?? ''}`
  })
}

async function oneByOne(payments: PaymentSubmitter, { orders }: Side): Promise<string[]> {
  const outcomes: PromiseSettledResult<Submitted>[] = []
  for (const order of orders) outcomes.push(...(await Promise.allSettled([payments.submit(order)])))
  return wordsOf(outcomes)
}

async function together(payments: PaymentSubmitter, { orders }: Side, { submissions }: Plan): Promise<string[]> {
  const asked: Promise<Submitted>[] = []
  for (const [index, order] of orders.entries()) {
    const submitted = payments.submit(order)
    submitted.catch(() => {}) // Heard when all are.
    asked.push(submitted)
    if (submissions[index]?.pause) await nextTurn()
  }
  return wordsOf(await Promise.allSettled(asked))
}

const balances = ({ accounts }: Side) =>
  Promise.all(
    accounts.map((id) =>
      bank.owner.oneFirst(sql.unsafe`select posted_minor || ' ' || held_minor from ledger.account where account_id = ${id}`),
    ),
  )

test('whatever comes together, over few accounts, consents and keys, is answered as if it had come one by one', async () => {
  const seen = new Set<string>()
  // What a payee is not known for is looked at by a person: what becomes of a payment depends on those before it.
  await bank.owner.query(sql.unsafe`insert into payments.risk_rule values ('some', 'amount', 5, 8, 80, 'for this test')`)
  for (const seed of seeds) {
    await bank.straightThrough(seed % 2 === 0)
    const plan = planFrom(randomFrom(seed))
    const [one, other] = [await sideOf(plan, `one-${seed}`), await sideOf(plan, `other-${seed}`)]
    const expected = await oneByOne(bank.payments, one)
    assert.deepEqual(await together(bank.payments, other, plan), expected, `seed ${seed}`)
    assert.deepEqual(await balances(other), await balances(one), `seed ${seed}`)
    for (const word of expected)
      seen.add(
        word
          .split(' ')
          .slice(0, word.startsWith('rejected') ? 2 : 1)
          .join(' '),
      )
  }
  const all = ['consent_already_used', 'consent_mismatch', 'account_not_usable', 'idempotency_key_reused', 'held', 'posted', 'replayed']
  for (const word of [...all, 'rejected AM04', 'rejected AM14', 'rejected AC07'])
    assert.ok(seen.has(word), `${word} never came up: ${[...seen].join()}`)
  assert.deepEqual(await reconcile(bank.worker), [])
})
