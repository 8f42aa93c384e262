import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, transact } from '@bankside/service-kit/postgres'
import { type AccountId, newEntryId, newHoldId, newPaymentId } from '../ids.ts'
import { advancePayments } from '../payments/advance-payments.ts'
import type { Payment } from '../payments/payment.ts'
import { gbp, later, noon, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'
import { reconcile } from './reconcile.ts'
import { type DiscrepancyName, ledgerChecks, paymentChecks } from './reconciliation-checks.ts'
import { referenceChecks } from './reference-checks.ts'

let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

async function payment(status: 'held' | 'posted'): Promise<Payment> {
  const [from, to] = [await bank.newAccount({ funds: 5_000n }), await bank.newAccount()]
  const submitted = await bank.submit(await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1000) }))
  if (status === 'posted') await advancePayments(bank.worker, { now: noon, limit: 10 })
  return submitted
}

test('a sound bank has no discrepancies', async () => {
  await payment('posted')
  await payment('held')
  assert.deepEqual(await reconcile(bank.worker), [])
})

/** As if neither triggers nor foreign keys were there. */
const breaking = (query: ReturnType<typeof sql.unsafe>) =>
  transact(bank.owner, async (tx) => {
    await tx.query(sql.unsafe`set local session_replication_role = replica`)
    await tx.query(query)
  })
const time = sql.timestamp(noon)
const newEntry = async (postings: readonly [AccountId, number, number][]) => {
  const entryId = newEntryId()
  await breaking(sql.unsafe`insert into ledger.entry values (${entryId}, 'transfer', 'GBP', 'd', 'r', null, null, ${time}, '2026-03-02')`)
  for (const [accountId, number, amount] of postings)
    await breaking(
      sql.unsafe`insert into ledger.posting values (${accountId}, ${number}, ${entryId}, 'GBP', ${amount}, ${amount}, 'n', null, null, ${time})`,
    )
  return entryId
}

/** Each breaks one rule, as only a fault or a thief could, and says what must be found. */
const faults: Record<DiscrepancyName, () => Promise<string>> = {
  'posted balance differs from the sum of postings': async () => {
    const account = await bank.newAccount({ funds: 100n })
    await breaking(sql.unsafe`update ledger.account set posted_minor = 101 where account_id = ${account}`)
    return account
  },
  'held amount differs from the sum of active holds': async () => {
    const account = await bank.newAccount({ funds: 100n })
    await breaking(sql.unsafe`update ledger.account set held_minor = 1 where account_id = ${account}`)
    return account
  },
  'postings of an account are not numbered without a gap': async () => {
    const account = await bank.newAccount({ funds: 100n })
    await breaking(sql.unsafe`update ledger.posting set posting_number = 2 where account_id = ${account}`)
    return account
  },
  'running balance is wrong': async () => {
    const account = await bank.newAccount({ funds: 100n })
    await breaking(sql.unsafe`update ledger.posting set balance_minor = 99 where account_id = ${account}`)
    return account
  },
  'a posting is booked before the one it follows': async () => {
    const { debtorAccountId } = takePosted()
    await breaking(sql.unsafe`
      update ledger.posting set booked_at = ${sql.timestamp(later(-1))} where account_id = ${debtorAccountId} and posting_number = 2`)
    return debtorAccountId
  },
  'entry does not balance': async () =>
    newEntry([
      [await bank.newAccount(), 1, 5],
      [await bank.newAccount(), 1, -4],
    ]),
  'entry has fewer than two postings': () => newEntry([]),
  'posting is of another currency than its account': async () => {
    const entryId = await newEntry([
      [await bank.newAccount(), 1, 5],
      [await bank.newAccount({ currency: 'EUR' }), 1, -5],
    ])
    return entryId
  },
  'posting without an entry': async () => {
    const account = await bank.newAccount({ funds: 100n })
    const entryId = newEntryId()
    await breaking(sql.unsafe`update ledger.posting set entry_id = ${entryId} where account_id = ${account}`)
    return entryId
  },
  'entry is reversed more than once over': async () => {
    const [from, to] = [await bank.newAccount(), await bank.newAccount()]
    const entryId = await newEntry([
      [from, 1, -5],
      [to, 1, 5],
    ])
    const reversal = await newEntry([
      [from, 2, 6],
      [to, 2, -6],
    ])
    await breaking(sql.unsafe`update ledger.entry set kind = 'reversal', reverses = ${entryId} where entry_id = ${reversal}`)
    return entryId
  },
  'captured amount of a hold differs from its entries': async () => {
    const { id } = takePosted()
    const holdId = String(await bank.owner.oneFirst(sql.unsafe`select hold_id from payments.payment where payment_id = ${id}`))
    await breaking(sql.unsafe`update ledger.hold set captured_minor = captured_minor - 1 where hold_id = ${holdId}`)
    return holdId
  },
  'exchange differs from its entry': async () => {
    const entryId = await newEntry([])
    await breaking(sql.unsafe`
      insert into ledger.exchange values (${entryId}, 'GBP', 2, 100, 100, 'EUR', 2, 115, 115, 2, 'test', ${time})`)
    return entryId
  },
  'movement that made nothing': async () => {
    const key = '00000000-0000-4000-8000-000000000001'
    await breaking(sql.unsafe`insert into ledger.movement values (${key}, sha256('x'), ${newEntryId()}, ${time})`)
    return key
  },
  'currency does not sum to zero': async () => 'GBP',
  'account is beyond its overdraft': async () => {
    const account = await bank.newAccount()
    await breaking(sql.unsafe`alter table ledger.account drop constraint account_within_overdraft`)
    await breaking(sql.unsafe`update ledger.account set posted_minor = -2 where account_id = ${account}`)
    return account
  },
  'held payment without its hold': async () => {
    const { id } = await payment('held')
    await breaking(
      sql.unsafe`update ledger.hold set amount_minor = 1 where hold_id = (select hold_id from payments.payment where payment_id = ${id})`,
    )
    return id
  },
  'active hold without a held payment': async () => {
    const holdId = newHoldId()
    const account = await bank.newAccount({ funds: 100n })
    await breaking(sql.unsafe`select ledger.place_hold(${holdId}, ${account}, 1, 'GBP', ${time}, ${time})`)
    return holdId
  },
  'posted payment differs from its entry': async () => {
    const { id } = takePosted()
    await breaking(sql.unsafe`update payments.payment set amount_minor = 999 where payment_id = ${id}`)
    return id
  },
  'entry of a payment that is not posted': async () => {
    const entryId = await newEntry([
      [await bank.newAccount(), 1, 5],
      [await bank.newAccount(), 1, -5],
    ])
    await breaking(sql.unsafe`update ledger.entry set payment_id = ${newPaymentId()} where entry_id = ${entryId}`)
    return entryId
  },
  'consumed consent without a payment': async () => {
    const { consentId } = await bank.newConsent({ debtorAccountId: await bank.newAccount(), amount: gbp(1), status: 'COND' })
    return consentId
  },
  'payment whose consent is not consumed': async () => {
    const { id, consentId } = await payment('held')
    await breaking(sql.unsafe`update consents.consent set status = 'AUTH' where consent_id = ${consentId}`)
    return id
  },
  'payment differs from its consent': async () => {
    const { id, consentId } = await payment('held')
    await breaking(sql.unsafe`update consents.consent set creditor_identification = 'another' where consent_id = ${consentId}`)
    return id
  },
  'spending is not counted as it was paid': async () => {
    const { debtorAccountId } = await payment('held')
    await breaking(sql.unsafe`update payments.spent set spent_minor = spent_minor - 1 where account_id = ${debtorAccountId}`)
    return debtorAccountId
  },
  'payment that nobody was told of': async () => {
    const { id } = await payment('held')
    await breaking(sql.unsafe`delete from events.event where subject = ${id}`)
    return id
  },
  'payment points at what is not there': async () => {
    const { id, consentId } = await payment('held')
    await breaking(sql.unsafe`delete from consents.consent where consent_id = ${consentId}`)
    return id
  },
  'hold points at what is not there': async () => {
    const { id } = await payment('held')
    const holdId = String(await bank.owner.oneFirst(sql.unsafe`select hold_id from payments.payment where payment_id = ${id}`))
    await breaking(sql.unsafe`update ledger.hold set account_id = 'acc_gone' where hold_id = ${holdId}`)
    return holdId
  },
  'entry points at what is not there': async () => {
    const entryId = await newEntry([
      [await bank.newAccount(), 1, 5],
      [await bank.newAccount(), 1, -5],
    ])
    await breaking(sql.unsafe`update ledger.entry set reverses = ${newEntryId()}, kind = 'reversal' where entry_id = ${entryId}`)
    return entryId
  },
  'account points at what is not there': async () => {
    const account = await bank.newAccount()
    await breaking(sql.unsafe`
      delete from customers.customer where customer_id = (select customer_id from ledger.account where account_id = ${account})`)
    return account
  },
  'consent points at what is not there': async () => {
    const { consentId } = await bank.newConsent({ debtorAccountId: await bank.newAccount(), amount: gbp(1) })
    await breaking(sql.unsafe`update consents.consent set client_id = 'gone' where consent_id = ${consentId}`)
    return consentId
  },
  'notification points at what is not there': async () => {
    const { id } = takePosted()
    const eventId = String(
      await bank.owner.oneFirst(sql.unsafe`
        select n.event_id from events.notification n join events.event e using (event_id) where e.subject = ${id} limit 1`),
    )
    await breaking(sql.unsafe`update events.notification set customer_id = 'cus_gone' where event_id = ${eventId}`)
    return eventId
  },
}

/** Made first: posting one of them later would post what is to stay held. */
const posted: Payment[] = []
function takePosted(): Payment {
  const taken = posted.pop()
  assert.ok(taken)
  return taken
}

test('every kind of disagreement is found and named', async () => {
  for (let count = 0; count < 4; count++) posted.push(await payment('posted'))
  const expected: [string, string][] = []
  for (const [name, breakIt] of Object.entries(faults) as [DiscrepancyName, () => Promise<string>][]) {
    const subject = await breakIt()
    expected.push([name, subject])
  }
  const found = (await reconcile(bank.worker)).map(({ name, subject }) => `${name}: ${subject}`)
  for (const [name, subject] of expected) assert.ok(found.includes(`${name}: ${subject}`), `not found: ${name}`)
  assert.deepEqual(Object.keys(faults).sort(), Object.keys({ ...ledgerChecks, ...paymentChecks, ...referenceChecks }).sort())
})
