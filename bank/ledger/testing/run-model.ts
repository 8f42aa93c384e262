import assert from 'node:assert/strict'
import { openDatabase, sql, transact, z } from '@bankside/service-kit/postgres'
import { createTestDatabase } from '@bankside/service-kit/test-database'
import { type AccountId, type EntryId, type HoldId, newAccountId, newCustomerId } from '../../ids.ts'
import type { Currency } from '../../money.ts'
import { reckonExchange } from '../exchange.ts'
import type { Leg, Movement, MovementOutcome, Operation } from '../movement.ts'
import { openMovementWriter } from '../movement-writer.ts'
import { type AccountKind, openAccount } from '../open-account.ts'
import { type Rate, recordRate } from '../rate.ts'
import { reconcile } from '../reconcile.ts'
import { Model, type ModelOutcome } from './model.ts'
import { type Random, randomFrom } from './random.ts'
import { type CurrencyAccounts, randomMovement, type Stage } from './random-movements.ts'

const currencies: readonly Currency[] = ['GBP', 'EUR', 'JPY', 'KWD', 'BTC', 'ETH']
const customersPerCurrency = 6
const begins = new Date('2026-03-02T12:00:00.000Z')

/**
 * Random movements of all kinds against the ledger, many at a time, and one by one against the model: every answer and every
 * balance must agree. Throws with the seed, from which a run is the same again.
 */
export async function runModel({
  seed,
  movements,
}: {
  readonly seed: number
  readonly movements: number
}): Promise<{ accepted: number; declined: Map<string, number> }> {
  const urls = await createTestDatabase()
  const owner = await openDatabase(urls.ownerUrl, { maxConnections: 3 })
  let now = begins
  const writer = openMovementWriter(urls.ledgerUrl, { clock: { now: () => now } })
  const model = new Model()
  const declined = new Map<string, number>()
  let accepted = 0
  try {
    const random = randomFrom(seed)
    const stage = await setStage(owner, model, random)
    const answers: MovementOutcome[] = []
    while (answers.length < movements) {
      const burst = Array.from({ length: 1 + random.below(random.chance(0.2) ? 120 : 12) }, () =>
        randomMovement(random, stage, now),
      ).filter(buysSomething)
      const outcomes = await Promise.all(burst.map((movement) => writer.write(movement)))
      for (const [index, movement] of burst.entries()) {
        const outcome = outcomes[index] as MovementOutcome
        const expected = model.apply(movement, answers.length, now)
        assert.deepEqual(told(outcome), expectedAnswer(expected, answers), `movement ${answers.length}: ${describe(movement)}`)
        if ('effects' in expected && 'made' in outcome) {
          accepted++
          model.name(expected.effects, outcome.made)
          keep(stage, movement.operations, outcome.made)
        }
        if ('declined' in outcome) declined.set(outcome.declined, (declined.get(outcome.declined) ?? 0) + 1)
        answers.push(outcome)
      }
      now = new Date(now.getTime() + random.below(random.chance(0.05) ? 30 * 3_600_000 : 600_000))
      await compareBalances(owner, model)
      if (random.chance(0.1)) await changeStatus(owner, model, random)
    }
    assert.deepEqual(await reconcile(owner), [])
    return { accepted, declined }
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  } finally {
    await writer.close()
    await owner.end()
    await urls.drop()
  }
}

type Owner = Awaited<ReturnType<typeof openDatabase>>

async function setStage(owner: Owner, model: Model, random: Random): Promise<Stage> {
  const accounts = new Map<Currency, CurrencyAccounts>()
  for (const currency of currencies) {
    const customers: AccountId[] = []
    for (let index = 0; index < customersPerCurrency; index++)
      customers.push(await open(owner, model, currency, 'customer', random.chance(0.3) ? 5_000n : 0n))
    const own = async (kind: AccountKind) => open(owner, model, currency, kind, 0n)
    accounts.set(currency, { customers, internal: await own('internal'), fee: await own('fee'), position: await own('position') })
  }
  const rates = currencies.flatMap((base) =>
    currencies
      .filter((quote) => quote !== base)
      .map((quote): Rate => {
        const scale = random.below(19)
        return { base, quote, units: random.amount(10n ** BigInt(scale + 1)), scale, source: 'random', quotedAt: begins }
      }),
  )
  await transact(owner, async (tx) => {
    for (const rate of rates) await recordRate(tx, rate)
  })
  return { accounts, rates, holds: [], entries: [], asked: [] }
}

async function open(owner: Owner, model: Model, currency: Currency, kind: AccountKind, overdraft: bigint): Promise<AccountId> {
  const accountId = newAccountId()
  const customerId = kind === 'customer' ? newCustomerId() : null
  await transact(owner, async (tx) => {
    if (customerId !== null)
      await tx.query(sql.unsafe`
        insert into customers.customer values (${customerId}, ${customerId}, 'hash', ''::bytea, 'Ann', 'a@example.test', true, '+440000000000', ${sql.timestamp(begins)})`)
    await openAccount(tx, {
      accountId,
      customerId,
      kind,
      currency,
      nickname: kind,
      holderName: 'Ann',
      typeCode: 'OTHR',
      overdraftMinor: overdraft,
      now: begins,
    })
  })
  model.accounts.set(accountId, { currency, limited: kind === 'customer', status: 'open', posted: 0n, held: 0n, overdraft })
  return accountId
}

/** An amount that buys nothing is refused before it is gathered with others. */
function buysSomething({ operations }: Movement): boolean {
  return operations.every((operation) => {
    if (operation.kind !== 'exchange') return true
    try {
      return reckonExchange(operation.sold, operation.rate).bought.minor > 0n
    } catch {
      return false // Refused.
    }
  })
}

/** As far as it can be foreseen: ids are the ledger's own. */
const told = (outcome: MovementOutcome) =>
  'made' in outcome ? { made: outcome.made.length, replayed: outcome.replayed && outcome.made.join(' ') } : outcome

function expectedAnswer(expected: ModelOutcome, answers: readonly MovementOutcome[]) {
  if ('declined' in expected) return expected
  if ('effects' in expected) return { made: expected.effects.filter((effect) => Object.keys(effect).length > 0).length, replayed: false }
  const first = answers[expected.first]
  const made = first !== undefined && 'made' in first ? first.made : []
  // What releases only, made nothing that could tell its repetition.
  return { made: made.length, replayed: made.length === 0 ? '' : made.join(' ') }
}

function keep(stage: Stage, operations: readonly Operation[], made: readonly (EntryId | HoldId)[]): void {
  const ids = [...made]
  for (const operation of operations) {
    if (operation.kind === 'release') continue
    const id = ids.shift()
    if (operation.kind === 'hold') stage.holds.push({ id: id as HoldId, currency: operation.amount.currency })
    else stage.entries.push({ id: id as EntryId, legs: legsOf(operation) })
  }
}

function legsOf(operation: Operation): readonly Leg[] {
  if (operation.kind === 'legs') return operation.legs
  if (operation.kind !== 'transfer') return []
  const { from, to, amount } = operation
  return [
    { accountId: from, amount: { ...amount, minor: -amount.minor }, other: to },
    { accountId: to, amount, other: from },
  ]
}

const balanceRow = z.object({ account_id: z.custom<AccountId>(), posted_minor: z.bigint(), held_minor: z.bigint() })

async function compareBalances(owner: Owner, model: Model): Promise<void> {
  const rows = await owner.any(sql.type(balanceRow)`select account_id, posted_minor, held_minor from ledger.account`)
  const real = new Map(rows.map(({ account_id, posted_minor, held_minor }) => [account_id, { posted: posted_minor, held: held_minor }]))
  for (const [accountId, { posted, held, currency }] of model.accounts)
    assert.deepEqual(real.get(accountId), { posted, held }, `balance of ${accountId} in ${currency}`)
}

async function changeStatus(owner: Owner, model: Model, random: Random): Promise<void> {
  const [accountId, account] = random.pick([...model.accounts].filter(([, { limited }]) => limited))
  const status = random.pick(['open', 'open', 'frozen'] as const)
  await owner.query(sql.unsafe`update ledger.account set status = ${status} where account_id = ${accountId}`)
  account.status = status
}

const describe = (movement: Movement) =>
  JSON.stringify(movement.operations, (_name, value) => (typeof value === 'bigint' ? `${value}` : value))
