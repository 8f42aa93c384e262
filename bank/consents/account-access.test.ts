import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, statementsOf, type Transaction, z } from '@bankside/service-kit/postgres'
import type { TokenClaims } from '../access/decide-access.ts'
import { readPaymentStanding, readStanding } from '../access/standing.ts'
import type { AccountId } from '../ids.ts'
import { deleteConsent } from './delete-consent.ts'
import { expireConsents } from './expire-consents.ts'
import { findIntent } from './find-intent.ts'
import { getConsent } from './get-consent.ts'
import { getCustomerConsent, listCustomerConsents } from './list-customer-consents.ts'
import { listEligibleAccounts } from './list-eligible-accounts.ts'
import { rejectConsent } from './reject-consent.ts'
import { revokeConsent } from './revoke-consent.ts'
import {
  authorisedWorldOf,
  bareToken,
  dayMs,
  later,
  minuteMs,
  noon,
  openWorld,
  otherParty,
  thirdParty,
  type World,
} from './testing/test-world.ts'

let world: World
before(async () => {
  world = await openWorld()
})
after(() => world.close())

const read = (consentId: string, clientId = thirdParty) => world.asResourceApi((tx) => getConsent(tx, { consentId, clientId }))
const told = async (subject: string) =>
  (
    await world.owner.any(
      sql.type(z.object({ type: z.string() }))`select type from events.event where subject = ${subject} order by event_number`,
    )
  ).map(({ type }) => type)
const audited = async (subject: string) =>
  (await world.owner.any(sql.type(z.object({ action: z.string() }))`select action from audit.record where subject = ${subject}`)).map(
    ({ action }) => action,
  )

test('CON-04 an expiry in the past is refused', () =>
  assert.rejects(world.lodge({ expiresAt: noon }), { code: 'date_invalid', path: 'Data.ExpirationDateTime' }))
test('AIS-05 a transaction period that ends before it begins is refused', () =>
  assert.rejects(world.lodge({ transactionFrom: later(1), transactionTo: noon }), {
    code: 'date_invalid',
    path: 'Data.TransactionFromDateTime',
  }))
test('AIS-02 unfit permissions are refused on lodging', () =>
  assert.rejects(world.lodge({ permissions: ['ReadBalances'] }), { code: 'permissions_invalid' }))

test('CON-03 another client is refused, and an unknown consent is not found', async () => {
  const consent = await world.lodge()
  await assert.rejects(read(consent.id, otherParty), { code: 'consent_not_yours' })
  await assert.rejects(read(`con_${'0'.repeat(32)}`), { code: 'consent_not_found' })
  await assert.rejects(read("' or 1=1"), { code: 'consent_not_found' })
  const now = noon
  await assert.rejects(
    world.asResourceApi((tx) => deleteConsent(tx, { consentId: consent.id, clientId: otherParty, now })),
    { code: 'consent_not_yours' },
  )
})

test('CON-04 D15 a lodged consent is what was sent, equal dates and far ones included', async () => {
  const request = { Data: { Permissions: ['ReadAccountsBasic'], ExpirationDateTime: '2999-01-01T00:00:00+01:00' }, Risk: {} }
  const far = new Date('2999-01-01T00:00:00+01:00')
  const lodged = await world.lodge({
    request,
    permissions: ['ReadAccountsBasic'],
    expiresAt: far,
    transactionFrom: noon,
    transactionTo: noon,
  })
  const consent = await read(lodged.id)
  assert.deepEqual(consent, lodged)
  assert.deepEqual([consent.status, consent.request, consent.authoriseBefore], ['AWAU', request, later(dayMs)])
  assert.deepEqual([await told(consent.id), await audited(consent.id)], [['consent.lodged'], ['consent.lodged']])
})

test('RW-TOK-06 what cannot be authorised is no intent', async () => {
  const consent = await world.lodge({ expiresAt: later(dayMs / 2) })
  const intent = (clientId: string, now: Date) => world.asAuthServer((tx) => findIntent(tx, { consentId: consent.id, clientId, now }))
  assert.equal(await intent(otherParty, noon), undefined)
  assert.equal(await intent(thirdParty, later(dayMs / 2)), undefined)
  assert.equal((await intent(thirdParty, noon))?.id, consent.id)
  await world.asAuthServer((tx) =>
    rejectConsent(tx, { consentId: consent.id, clientId: thirdParty, reasonCode: 'U036', description: 'Cancelled', now: noon }),
  )
  assert.equal(await intent(thirdParty, noon), undefined)
})

test('AIS-12 accounts of another customer, unknown ones and none are refused', async () => {
  const { customerId } = await world.person()
  const own = await world.newAccount({ customerId })
  const foreign = await world.newAccount()
  const consent = await world.lodge()
  const order = { customerId, grantId: await world.grant(customerId) }
  await assert.rejects(world.authorise(consent, { ...order, accountIds: [] }), { code: 'field_missing' })
  await assert.rejects(world.authorise(consent, { ...order, accountIds: [own, foreign] }), { code: 'account_not_permitted' })
  await assert.rejects(world.authorise(consent, { ...order, accountIds: ['acc_nonsense'] }), { code: 'account_not_permitted' })
  await world.owner.query(sql.unsafe`update ledger.account set status = 'frozen' where account_id = ${own}`)
  await assert.rejects(world.authorise(consent, { ...order, accountIds: [own] }), { code: 'account_not_usable' })
  assert.equal((await read(consent.id)).status, 'AWAU')
})

test('CON-03 another client cannot have it authorised', async () => {
  const { customerId } = await world.person()
  const consent = await world.lodge()
  const order = { customerId, grantId: 'g', accountIds: [await world.newAccount({ customerId })] }
  await assert.rejects(world.authorise(consent, { ...order, clientId: otherParty }), { code: 'consent_not_yours' })
})

test('CON-05 it cannot be authorised once its time is over', async () => {
  const { customerId } = await world.person()
  const consent = await world.lodge()
  const order = { customerId, grantId: 'g', accountIds: [await world.newAccount({ customerId })] }
  await assert.rejects(world.authorise(consent, { ...order, now: later(dayMs) }), { code: 'consent_not_authorised' })
})

test('CON-02 CX-14 authorised as a whole, with the accounts chosen and none before', async () => {
  const { customerId } = await world.person()
  const accounts = [await world.newAccount({ customerId }), await world.newAccount({ customerId })]
  const consent = await world.lodge()
  const offered = await world.asAuthServer((tx) => listEligibleAccounts(tx, { consent, customerId }))
  assert.deepEqual(
    offered.map(({ selected }) => selected),
    [false, false],
  )
  const grantId = await world.grant(customerId)
  const { outcome, consent: authorised } = await world.authorise(consent, { customerId, accountIds: accounts.slice(0, 1), grantId })
  assert.equal(outcome, 'authorised')
  assert.deepEqual(await read(consent.id), authorised)
  assert.deepEqual(authorised, { ...consent, status: 'AUTH', customerId, authorisedAt: noon, grantId, accountIds: accounts.slice(0, 1) })
  assert.deepEqual(await told(consent.id), ['consent.lodged', 'consent.authorised'])
})

test('RW-TOK-01 another customer cannot renew it', async () => {
  const { consent } = await authorisedWorldOf(world)
  const stranger = await world.person()
  const order = { customerId: stranger.customerId, grantId: 'g', accountIds: [await world.newAccount({ customerId: stranger.customerId })] }
  await assert.rejects(world.authorise(consent, order), { code: 'consent_not_yours' })
})

test('CON-07 RW-TOK-04 renewal keeps id, permissions and expiry, preselects, may change accounts, and ends the old grant', async () => {
  const { consent, customerId, accountIds, grantId, token } = await authorisedWorldOf(world, 2, { expiresAt: later(90 * dayMs) })
  await world.owner.query(sql.unsafe`
    insert into oidc.refresh_token (id_hash, grant_id, payload, expires_at) values ('\\x01', ${grantId}, '{}', ${sql.timestamp(later(dayMs))})`)
  const offered = await world.asAuthServer(async (tx) =>
    listEligibleAccounts(tx, { consent: await getConsent(tx, { consentId: consent.id, clientId: thirdParty }), customerId }),
  )
  assert.deepEqual(
    offered.map(({ selected }) => selected),
    [true, true],
  )

  const again = await world.grant(customerId)
  const { consent: renewed } = await world.authorise(consent, {
    customerId,
    accountIds: accountIds.slice(1),
    grantId: again,
    now: later(dayMs),
  })
  assert.deepEqual(renewed.kind === 'account_access' && [renewed.id, renewed.permissions, renewed.expiresAt, renewed.accountIds], [
    consent.id,
    consent.permissions,
    consent.expiresAt,
    accountIds.slice(1),
  ])
  await assert.rejects(world.access(token, { api: 'uk', operation: 'accounts.list', now: later(dayMs) }), { code: 'grant_revoked' })
  assert.equal(await world.owner.exists(sql.unsafe`select from oidc.refresh_token where grant_id = ${grantId}`), false)
  const { accounts } = await world.access({ ...token, grantId: again }, { api: 'uk', operation: 'accounts.list', now: later(dayMs) })
  assert.deepEqual([...accounts], accountIds.slice(1))
})

test('SCA-01 an answered second factor serves one authorisation', async () => {
  const customer = await world.person()
  const { customerId } = customer
  const accountIds = [await world.newAccount({ customerId })]
  const consent = await world.lodge()
  const challengeId = await world.answered(customer, consent)
  await world.authorise(consent, { customerId, accountIds, grantId: await world.grant(customerId), challengeId })
  const again = { customerId, accountIds, grantId: await world.grant(customerId), challengeId }
  await assert.rejects(world.authorise(consent, again), { code: 'insufficient_user_authentication' })
})

test('CON-01 authorised several times at once: every order is lawful, one grant and its accounts are left', async () => {
  const { customerId } = await world.person()
  const accounts = [await world.newAccount({ customerId }), await world.newAccount({ customerId })]
  const consent = await world.lodge()
  const orders = await Promise.all(
    Array.from({ length: 8 }, async (_, n) => ({ grantId: await world.grant(customerId), accountIds: accounts.slice(n % 2, (n % 2) + 1) })),
  )
  await Promise.all(orders.map((order) => world.authorise(consent, { customerId, ...order })))
  const stored = await read(consent.id)
  const grants = sql.array(
    orders.map(({ grantId }) => grantId),
    'text',
  )
  const standing = await world.owner.anyFirst(
    sql.unsafe`select grant_id from oidc.grant where grant_id = any(${grants}) and revoked_at is null`,
  )
  assert.deepEqual(standing, [stored.grantId])
  const last = orders.find(({ grantId }) => grantId === stored.grantId)
  assert.deepEqual(stored.kind === 'account_access' && stored.accountIds, last?.accountIds)
})

test('CON-05 a customer who leaves rejects it, once', async () => {
  const consent = await world.lodge()
  const rejection = {
    consentId: consent.id,
    clientId: thirdParty,
    reasonCode: 'U036',
    description: 'Authorisation not completed',
    now: later(minuteMs),
  }
  for (let times = 0; times < 2; times++) {
    const rejected = await world.asAuthServer((tx) => rejectConsent(tx, rejection))
    assert.deepEqual(
      [rejected.status, rejected.statusReason, rejected.statusUpdatedAt],
      ['RJCT', { code: 'U036', description: 'Authorisation not completed' }, later(minuteMs)],
    )
  }
  assert.deepEqual(await told(consent.id), ['consent.lodged', 'consent.rejected'])
})

test('CON-07 a customer who leaves a renewal keeps the access given before', async () => {
  const { consent } = await authorisedWorldOf(world)
  const kept = await world.asAuthServer((tx) =>
    rejectConsent(tx, { consentId: consent.id, clientId: thirdParty, reasonCode: 'U036', description: '', now: noon }),
  )
  assert.equal(kept.status, 'AUTH')
})

test("AIS-20 DB-05 only the customer's own account access can be stopped", async () => {
  const { consent } = await authorisedWorldOf(world)
  const { customerId } = await world.person()
  await assert.rejects(
    world.asAuthServer((tx) => revokeConsent(tx, { consentId: consent.id, customerId, now: noon })),
    { code: 'consent_not_found' },
  )
  assert.equal((await read(consent.id)).status, 'AUTH')
})

test('AIS-20 CON-12 stopping access stops the very next call, kills tokens, and can be undone by authorising again', async () => {
  const { consent, customerId, accountIds, grantId, token } = await authorisedWorldOf(world)
  await world.owner.query(
    sql.unsafe`insert into oidc.refresh_token (id_hash, grant_id, payload, expires_at) values ('\\x02', ${grantId}, '{}', ${sql.timestamp(later(dayMs))})`,
  )
  await world.owner.query(
    sql.unsafe`insert into oidc.authorization_code (id_hash, grant_id, payload, expires_at) values ('\\x02', ${grantId}, '{}', ${sql.timestamp(later(dayMs))})`,
  )
  const reading = { api: 'uk', operation: 'accounts.list', now: noon } as const
  await world.access(token, reading)
  const revoked = await world.asAuthServer((tx) => revokeConsent(tx, { consentId: consent.id, customerId, now: later(minuteMs) }))
  assert.deepEqual([revoked.status, revoked.statusReason?.code, revoked.statusUpdatedAt], ['CANC', 'CUST', later(minuteMs)])
  await assert.rejects(world.access(token, reading), { code: 'grant_revoked' })
  for (const table of ['refresh_token', 'authorization_code'])
    assert.equal(await world.owner.exists(sql.unsafe`select from ${sql.identifier(['oidc', table])} where grant_id = ${grantId}`), false)
  assert.deepEqual((await told(consent.id)).at(-1), 'consent.revoked')

  await world.asAuthServer((tx) => revokeConsent(tx, { consentId: consent.id, customerId, now: later(2 * minuteMs) }))
  assert.equal((await read(consent.id)).statusUpdatedAt.getTime(), later(minuteMs).getTime())
  const again = await world.grant(customerId)
  await world.authorise(consent, { customerId, accountIds, grantId: again, now: later(3 * minuteMs) })
  await world.access({ ...token, grantId: again }, reading)
})

test('CON-12 revoked while calls are running: no call that begins after it succeeds', async () => {
  const { consent, customerId, token } = await authorisedWorldOf(world)
  let revokedAt = Number.POSITIVE_INFINITY
  const results: { began: number; ok: boolean }[] = []
  const calls = Array.from({ length: 4 }, async () => {
    for (let n = 0; n < 25; n++) {
      const began = performance.now()
      const call = world.access(token, { api: 'uk', operation: 'accounts.list', now: noon })
      results.push({
        began,
        ok: await call.then(
          () => true,
          () => false,
        ),
      })
    }
  })
  await world.asAuthServer((tx) => revokeConsent(tx, { consentId: consent.id, customerId, now: noon }))
  revokedAt = performance.now()
  await Promise.all(calls)
  assert.deepEqual(
    results.filter(({ began, ok }) => began > revokedAt && ok),
    [],
  )
  assert.ok(results.some(({ ok }) => !ok))
})

test('CON-08 a deleted consent is gone for the third party, its tokens are dead, and it stays in the history', async () => {
  const { consent, customerId, token } = await authorisedWorldOf(world)
  const remove = () => world.asResourceApi((tx) => deleteConsent(tx, { consentId: consent.id, clientId: thirdParty, now: noon }))
  await remove()
  await assert.rejects(read(consent.id), { code: 'consent_not_found' })
  await assert.rejects(remove(), { code: 'consent_not_found' })
  await assert.rejects(world.access(token, { api: 'uk', operation: 'accounts.list', now: noon }), { code: 'grant_revoked' })
  await assert.rejects(world.authorise(consent, { customerId, accountIds: [], grantId: 'g' }), { code: 'consent_not_found' })
  await assert.rejects(
    world.asAuthServer((tx) => revokeConsent(tx, { consentId: consent.id, customerId, now: noon })),
    { code: 'consent_not_found' },
  )
  const [shown] = await world.asAuthServer((tx) => listCustomerConsents(tx, { customerId, now: noon }))
  assert.deepEqual([shown?.active, shown?.consent.deletedAt, shown?.clientName], [false, noon, 'Third party'])
  assert.deepEqual((await told(consent.id)).at(-1), 'consent.deleted')
})

test('CON-08 a consent that nobody decided on may be deleted too', async () => {
  const consent = await world.lodge()
  await world.asResourceApi((tx) => deleteConsent(tx, { consentId: consent.id, clientId: thirdParty, now: noon }))
  await assert.rejects(read(consent.id), { code: 'consent_not_found' })
})

test('CON-11 several consents of one customer are independent', async () => {
  const first = await authorisedWorldOf(world)
  const second = await world.lodge()
  const grantId = await world.grant(first.customerId)
  await world.authorise(second, { customerId: first.customerId, accountIds: first.accountIds, grantId })
  await world.asAuthServer((tx) => revokeConsent(tx, { consentId: first.consent.id, customerId: first.customerId, now: noon }))
  await world.access({ grantId, consentId: second.id }, { api: 'uk', operation: 'accounts.list', now: noon })
  const shown = await world.asAuthServer((tx) => listCustomerConsents(tx, { customerId: first.customerId, now: noon }))
  assert.deepEqual(
    new Map(shown.map(({ consent, active }) => [consent.id, active])),
    new Map([
      [first.consent.id, false],
      [second.id, true],
    ]),
  )
  const stranger = await world.person()
  await assert.rejects(
    world.asAuthServer((tx) => getCustomerConsent(tx, { consentId: second.id, customerId: stranger.customerId, now: noon })),
    { code: 'consent_not_found' },
  )
})

test('CON-05 a consent that cannot be ended by a fault of ours is reported, and holds up no other', async () => {
  const lodged = await Promise.all(Array.from({ length: 5 }, () => world.lodge({ now: later(-3 * dayMs) })))
  const [faulty, ...sound] = lodged
  assert.ok(faulty)
  await world.owner.query(sql.unsafe`alter table consents.consent disable trigger user`)
  await world.owner.query(sql.unsafe`update consents.consent set permissions = '{NoSuchPermission}' where consent_id = ${faulty.id}`)
  await world.owner.query(sql.unsafe`alter table consents.consent enable trigger user`)
  const at = { now: later(-2 * dayMs), limit: 100 }
  const reported: string[] = []
  const rounds = await Promise.all([1, 2].map(() => expireConsents(world.worker, { ...at, onFault: (_error, id) => reported.push(id) })))
  assert.equal(
    rounds.reduce((sum, moved) => sum + moved, 0),
    4,
  )
  assert.deepEqual(new Set(reported), new Set([faulty.id]))
  for (const { id } of sound) assert.equal((await read(id)).status, 'RJCT')
  await assert.rejects(expireConsents(world.worker, at))
  await world.owner.query(sql.unsafe`update consents.consent set status = 'RJCT' where consent_id = ${faulty.id}`)
})

test('CON-05 a customer who decides while the consent is being ended is not overruled', async () => {
  const consent = await world.lodge({ now: later(-dayMs) })
  const other = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const deciding = world.asAuthServer(async (tx) => {
    await tx.query(sql.unsafe`select from consents.consent where consent_id = ${consent.id} for no key update`)
    locked.resolve()
    await other.promise
  })
  await locked.promise
  assert.equal(await expireConsents(world.worker, { now: noon, limit: 100 }), 0)
  other.resolve()
  await deciding
  assert.equal(await expireConsents(world.worker, { now: noon, limit: 100 }), 1)
})

test('CON-05 RW-TOK-03 the worker ends what ran out, and nothing else', async () => {
  const undecided = await world.lodge({ now: later(-dayMs) })
  const fresh = await world.lodge({ now: later(minuteMs - dayMs) })
  const expiring = await authorisedWorldOf(world, 1, { expiresAt: later(minuteMs) })
  const open = await authorisedWorldOf(world)
  const stopped = await authorisedWorldOf(world, 1, { expiresAt: later(minuteMs) })
  await world.asAuthServer((tx) => revokeConsent(tx, { consentId: stopped.consent.id, customerId: stopped.customerId, now: noon }))

  assert.equal(await expireConsents(world.worker, { now: noon, limit: 100 }), 1)
  assert.equal(await expireConsents(world.worker, { now: later(minuteMs), limit: 100 }), 3)
  const outcome = async (id: string) => {
    const { status, statusReason } = await read(id)
    return [status, statusReason?.code]
  }
  assert.deepEqual(await outcome(undecided.id), ['RJCT', 'U036'])
  assert.deepEqual(await outcome(fresh.id), ['RJCT', 'U036'])
  assert.deepEqual(await outcome(expiring.consent.id), ['EXPD', 'TKXP'])
  assert.deepEqual(await outcome(stopped.consent.id), ['EXPD', 'TKXP'])
  assert.deepEqual(await outcome(open.consent.id), ['AUTH', undefined])
  await assert.rejects(
    world.authorise(expiring.consent, {
      customerId: expiring.customerId,
      accountIds: expiring.accountIds,
      grantId: 'g',
      now: later(minuteMs),
    }),
    {
      code: 'consent_not_authorised',
    },
  )
})

test('AIS-07 D4 an account that is named is reached exactly when it is among those that are reached without a name', async () => {
  const { customer, customerId, accountIds, grantId, token } = await authorisedWorldOf(world, 2)
  const [chosen, closed] = accountIds
  const unchosen = await world.newAccount({ customerId, funds: 100_000n })
  await world.owner.query(sql.unsafe`update ledger.account set status = 'closed' where account_id = ${closed ?? null}`)
  const payment = await world.lodgePayment()
  const grantOfPayment = await world.grant(customerId)
  const challengeId = await world.answered(customer, payment)
  await world.authorise(payment, { customerId, accountIds: [unchosen], grantId: grantOfPayment, challengeId })
  const another = await authorisedWorldOf(world, 1)

  const reached = async (claims: Partial<TokenClaims>, accountId?: string) => [
    ...(await world.asResourceApi((tx) => readStanding(tx, { ...bareToken, ...claims }, accountId))).accounts,
  ]
  const all = [...accountIds, unchosen, ...another.accountIds, `acc_${'0'.repeat(32)}`]
  const tokens: [claims: Partial<TokenClaims>, expected: readonly unknown[]][] = [
    [token, [chosen]],
    [{ grantId: grantOfPayment, consentId: payment.id }, [unchosen]],
    [{ grantId }, [chosen, unchosen]],
    [{}, []],
    [{ ...token, clientId: otherParty }, []],
  ]
  for (const [claims, expected] of tokens) {
    assert.deepEqual(await reached(claims), expected.toSorted())
    for (const accountId of all) assert.deepEqual(await reached(claims, accountId), expected.includes(accountId) ? [accountId] : [])
  }
})

test('how a payment consent stands is said alike where only such a one opens anything, and where any does', async () => {
  const pays = async () => {
    const { customer, customerId, accountIds } = await authorisedWorldOf(world, 1)
    const payment = await world.lodgePayment()
    const [grantId, challengeId] = [await world.grant(customerId), await world.answered(customer, payment)]
    await world.authorise(payment, { customerId, accountIds, grantId, challengeId })
    return { claims: { grantId, consentId: payment.id }, account: accountIds[0] as AccountId }
  }
  const { claims: open, account } = await pays()
  const ofClosed = await pays()
  await world.owner.query(sql.unsafe`update ledger.account set status = 'closed' where account_id = ${ofClosed.account}`)
  const another = await authorisedWorldOf(world, 1)
  const lodged = await world.lodgePayment()
  const cases: [claims: Partial<TokenClaims>, reached: readonly unknown[]][] = [
    [open, [account]],
    [ofClosed.claims, []],
    [{ ...open, clientId: otherParty }, []],
    [{ ...open, clientId: 'nobody' }, []],
    [{ ...open, grantId: another.grantId }, []],
    [{ ...open, grantId: undefined }, []],
    [{ ...open, consentId: lodged.id }, []],
  ]
  const tokens = cases.map(([claims]) => ({ ...bareToken, ...claims }))
  const [alone, together] = [await world.asResourceApi((tx) => readAll(tx, tokens)), await readAll(statementsOf(world.resourceApi), tokens)]
  for (const [index, [claims, reached]] of cases.entries()) {
    const [ofPayment, ofAny] = alone[index] as (typeof alone)[number]
    assert.deepEqual(ofPayment, ofAny, JSON.stringify(claims))
    assert.deepEqual([...ofPayment.accounts], reached, JSON.stringify(claims))
  }
  assert.deepEqual(together, alone)
})

const readAll = (tx: Transaction, tokens: readonly TokenClaims[]) =>
  Promise.all(tokens.map((token) => Promise.all([readPaymentStanding(tx, token), readStanding(tx, token)])))
