import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { systemClock } from '@bankside/service-kit/clock'
import { sql } from '@bankside/service-kit/postgres'
import { type AccountId, newAccountId } from '../ids.ts'
import { gbp, openTestBank } from '../payments/testing/test-bank.ts'
import type { Movement } from './movement.ts'
import { movementKey } from './movement-key.ts'
import { openMovementWriter } from './movement-writer.ts'
import { reconcile } from './reconcile.ts'
import { randomFrom } from './testing/random.ts'

const seed = 20_261_129
const rounds = 12
const transfersPerRound = 120

// The model test has all kinds of movements in one call; here are calls of transfers alone, which the ledger decides in fewer steps as long as it can.
test('transfers that come together are decided as if one after another, wherever among them those are that cannot be made', async () => {
  const bank = await openTestBank()
  const writer = openMovementWriter(bank.urls.ledgerUrl, { clock: systemClock })
  try {
    const random = randomFrom(seed)
    const funds = new Map<AccountId, bigint>()
    for (let index = 0; index < 5; index++) funds.set(await bank.newAccount({ funds: 400n }), 400n)
    const [usable, frozen, closed] = [[...funds.keys()], await bank.newAccount({ funds: 9n }), await bank.newAccount()]
    const [euro, unknown] = [await bank.newAccount({ currency: 'EUR', funds: 9n }), newAccountId()]
    funds.set(frozen, 9n)
    await bank.owner.query(sql.unsafe`update ledger.account set status = case account_id when ${closed} then 'closed' else 'frozen' end
      where account_id in (${frozen}, ${closed})`)
    /** Why it is not made; what is made changes the funds. */
    const decide = (from: AccountId, to: AccountId, minor: bigint): string | undefined => {
      for (const account of [from, to]) {
        if (account === unknown) return 'account_not_found'
        if (account === euro) return 'currency_mismatch'
        if (account === closed || (account === frozen && account === from)) return 'account_not_usable'
      }
      if ((funds.get(from) ?? 0n) < minor) return 'insufficient_funds'
      funds.set(from, (funds.get(from) ?? 0n) - minor)
      funds.set(to, (funds.get(to) ?? 0n) + minor)
      return undefined
    }
    for (let round = 0; round < rounds; round++) {
      // Rounds without and with few and many that cannot be made.
      const account = () => (random.chance((round % 3) * 0.04) ? random.pick([frozen, closed, euro, unknown]) : random.pick(usable))
      const asked: Movement[] = []
      while (asked.length < transfersPerRound) {
        const [from, to, amount] = [account(), account(), gbp(random.amount(round < 3 ? 2n : 150n))]
        if (from === to) continue
        const key = movementKey({ clientId: 'test', method: 'COMMAND', endpoint: 'test', key: randomUUID(), request: null })
        asked.push({ key, actor: 'test', operations: [{ kind: 'transfer', from, to, amount, description: 'd', reference: 'r' }] })
      }
      const outcomes = await Promise.all(asked.map(writer.write))
      for (const [index, { operations }] of asked.entries()) {
        const [operation] = operations
        assert.ok(operation.kind === 'transfer')
        const expected = decide(operation.from, operation.to, operation.amount.minor)
        const outcome = outcomes[index]
        assert.equal(
          outcome && 'declined' in outcome ? outcome.declined : undefined,
          expected,
          `seed ${seed}, round ${round}, transfer ${index}`,
        )
      }
    }
    for (const [account, minor] of funds)
      assert.equal(await bank.owner.oneFirst(sql.unsafe`select posted_minor from ledger.account where account_id = ${account}`), minor)
    assert.deepEqual(await reconcile(bank.worker), [])
  } finally {
    await writer.close()
    await bank.close()
  }
})
