import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, sqlState, transact, z } from '@bankside/service-kit/postgres'
import type { AccountId, ConsentId, CustomerId } from '../ids.ts'
import { placeHold } from '../ledger/place-hold.ts'
import { reconcile } from '../ledger/reconcile.ts'
import { releaseHold } from '../ledger/release-hold.ts'
import { transfer } from '../ledger/transfer.ts'
import { advancePayments } from '../payments/advance-payments.ts'
import { gbp, later, noon, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'
import { type Closing, closeAccount } from './close-account.ts'
import { openCustomerAccount } from './open-customer-account.ts'

let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

const close = (accountId: AccountId, more: Partial<Closing> = {}) =>
  transact(bank.owner, (tx) => closeAccount(tx, { accountId, actor: 'operator', why: 'a test', now: noon, ...more })).then((outcome) =>
    'declined' in outcome ? outcome.declined : outcome,
  )
const accountRow = z.object({ status: z.string(), posted: z.bigint() })
const account = async (accountId: AccountId) =>
  Object.values(
    await bank.owner.one(sql.type(accountRow)`select status, posted_minor as posted from ledger.account where account_id = ${accountId}`),
  )
const customerOf = (accountId: AccountId) =>
  bank.owner.oneFirst(sql.unsafe`select customer_id from ledger.account where account_id = ${accountId}`) as Promise<CustomerId>
const status = (consentId: string) =>
  bank.owner.oneFirst(
    sql.unsafe`select status || ' ' || coalesce(status_reason_code, '') from consents.consent where consent_id = ${consentId}`,
  )
const told = (subject: string) =>
  bank.owner.anyFirst(sql.unsafe`select type from events.event where subject = ${subject} order by event_number`)

test('an account with holds, a debt, or a rest that may not go where it is said to is not closed, and nothing has changed', async () => {
  const [from, other, euro] = [
    await bank.newAccount({ funds: 500n, overdraftMinor: 100n }),
    await bank.newAccount(),
    await bank.newAccount({ currency: 'EUR' }),
  ]
  const agreed = await bank.newConsent({ debtorAccountId: from, creditorAccountId: other, amount: gbp(100) })
  const held = await transact(bank.resourceApi, (tx) => placeHold(tx, { accountId: from, amount: gbp(1), expiresAt: later(1), now: noon }))
  assert.equal(await close(from, { restTo: other }), 'account_has_holds')
  assert.ok('held' in held && (await transact(bank.worker, (tx) => releaseHold(tx, { holdId: held.held, as: 'released', now: noon }))))
  assert.equal(await close(from), 'rest_needs_an_account')
  for (const restTo of [from, euro, `acc_${'0'.repeat(32)}` as const])
    assert.equal(await close(from, { restTo }), 'rest_account_not_usable')
  assert.equal(await close(bank.own.settlement.GBP as AccountId), 'account_not_found')
  await transact(bank.owner, (tx) =>
    transfer(tx, { from, to: other, amount: gbp(550), kind: 'transfer', description: 'd', reference: 'r', now: noon }),
  )
  assert.equal(await close(from, { restTo: other }), 'account_is_overdrawn')
  assert.deepEqual([await account(from), await account(other), await status(agreed.consentId)], [['open', -50n], ['open', 550n], 'AUTH '])
  for (const process of [bank.resourceApi, bank.worker])
    await assert.rejects(
      transact(process, (tx) => closeAccount(tx, { accountId: from, actor: 'me', why: 'x', now: noon })),
      (error) => sqlState(error) === '42501',
    )
})

test('CON-10 AIS-22 a closed account is empty, its rest moved by one entry, and every consent has lost it at once', async () => {
  const first = await bank.newAccount({ funds: 700n })
  const customerId = await customerOf(first)
  const second = await bank.newAccount({ customerId })
  const share = async (accounts: readonly AccountId[]) => {
    const { consentId } = await bank.newConsent({ debtorAccountId: first, amount: gbp(1), status: 'AUTH' })
    const shared = `con_${consentId.slice(4).split('').reverse().join('')}` as ConsentId
    await bank.owner.query(sql.unsafe`
      insert into consents.consent (consent_id, client_id, kind, status, status_updated_at, created_at, authorise_before, request, permissions, customer_id,
        authorised_at, grant_id)
      select ${shared}, client_id, 'account_access', 'AUTH', created_at, created_at, created_at, '{}', '{ReadAccountsBasic}', customer_id, created_at, 'shared ' || consent_id
      from consents.consent where consent_id = ${consentId}`)
    for (const id of accounts) await bank.owner.query(sql.unsafe`insert into consents.consent_account values (${shared}, ${id})`)
    return shared
  }
  const [both, alone] = [await share([first, second]), await share([first])]
  const waiting = await bank.newConsent({ debtorAccountId: first, creditorAccountId: second, amount: gbp(100) })
  const incoming = await bank.submit(
    await bank.newConsent({ debtorAccountId: await bank.newAccount({ funds: 100n }), creditorAccountId: first, amount: gbp(100) }),
  )

  const outcome = await close(first, { restTo: second })
  assert.ok(typeof outcome === 'object' && 'closed' in outcome && outcome.restBy?.startsWith('ent_'))
  assert.deepEqual(
    [await account(first), await account(second)],
    [
      ['closed', 0n],
      ['open', 700n],
    ],
  )
  assert.equal(await bank.owner.oneFirst(sql.unsafe`select kind from ledger.entry where entry_id = ${outcome.restBy ?? ''}`), 'closing')
  assert.deepEqual([await status(both), await status(alone), await status(waiting.consentId)], ['AUTH ', 'CANC AC04', 'RJCT AC04'])
  assert.deepEqual(await bank.owner.anyFirst(sql.unsafe`select account_id from consents.consent_account where consent_id = ${both}`), [
    second,
  ])
  assert.deepEqual([await told(both), await told(alone)], [['consent.account_closed'], ['consent.account_closed', 'consent.revoked']])
  assert.deepEqual(await told(first), ['account.closed'])

  // It refuses everything, by name.
  const back = { from: second, to: first, amount: gbp(1), kind: 'transfer', description: 'd', reference: 'r', now: noon } as const
  assert.deepEqual(await transact(bank.owner, (tx) => transfer(tx, back)), { declined: 'account_not_usable' })
  assert.deepEqual(await transact(bank.owner, (tx) => transfer(tx, { ...back, from: first, to: second })), {
    declined: 'account_not_usable',
  })
  const holding = { accountId: first, amount: gbp(1), expiresAt: later(1), now: noon }
  assert.deepEqual(await transact(bank.resourceApi, (tx) => placeHold(tx, holding)), { declined: 'account_not_usable' })
  await assert.rejects(bank.submit(waiting), { code: 'grant_revoked' })
  await advancePayments(bank.worker, { now: noon, limit: 10 })
  assert.equal(
    await bank.owner.oneFirst(sql.unsafe`select rejection_reason from payments.payment where payment_id = ${incoming.id}`),
    'AC07',
  )
  assert.equal(await close(first, { restTo: second }), 'account_closed_already')
  assert.deepEqual(await reconcile(bank.worker), [])
})

test('a payment that races the closing is either made before it or finds the account closed', async () => {
  for (let round = 0; round < 8; round++) {
    const [from, heir] = [await bank.newAccount({ funds: 500n }), await bank.newAccount()]
    const consent = await bank.newConsent({ debtorAccountId: from, creditorAccountId: heir, amount: gbp(100) })
    const [paid, closed] = await Promise.all([bank.submit(consent).catch(({ code }) => code as string), close(from, { restTo: heir })])
    if (typeof paid === 'object' && paid.status === 'held') assert.equal(closed, 'account_has_holds')
    else
      assert.deepEqual(
        [await account(from), await account(heir)],
        [
          ['closed', 0n],
          ['open', 500n],
        ],
      )
  }
  await advancePayments(bank.worker, { now: noon, limit: 100 })
  assert.deepEqual(await reconcile(bank.worker), [])
})

test('an account is opened with its first money, or not at all', async () => {
  const from = await bank.newAccount({ funds: 100n })
  const customerId = await customerOf(from)
  const open = (digit: string, minor: number, source: AccountId | null = from) => {
    const accountId: AccountId = `acc_${digit.repeat(32)}`
    const order = {
      accountId,
      customerId,
      nickname: 'Holidays',
      holderName: 'Ann Example',
      typeCode: 'CACC',
      first: gbp(minor),
      from: source ?? undefined,
    } as const
    return transact(bank.owner, (tx) => openCustomerAccount(tx, { ...order, actor: 'operator', now: noon }))
  }
  await assert.rejects(open('1', 101), { code: 'insufficient_funds' })
  await assert.rejects(open('1', 1, null), { code: 'field_missing' })
  await assert.rejects(
    bank.owner.one(
      sql.type(accountRow)`select status, posted_minor as posted from ledger.account where account_id = ${`acc_${'1'.repeat(32)}`}`,
    ),
  )
  const [opened, firstBy] = [`acc_${'2'.repeat(32)}` as const, await open('2', 100)]
  assert.deepEqual([await account(opened), await account(from), await told(opened)], [['open', 100n], ['open', 0n], ['account.opened']])
  assert.equal(await bank.owner.oneFirst(sql.unsafe`select kind from ledger.entry where entry_id = ${firstBy ?? ''}`), 'opening')
  assert.equal(await open('3', 0), undefined)
})
