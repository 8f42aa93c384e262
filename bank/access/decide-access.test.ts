import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccountId, ConsentId, CustomerId } from '../ids.ts'
import { AccessRefusal } from './access-refusal.ts'
import { type AccessRequest, decideAccess, type TokenClaims } from './decide-access.ts'
import { type BankOperation, operations, type UkOperation } from './operations.ts'
import type { ConsentStanding, Standing } from './standing.ts'

const now = new Date('2026-03-02T12:00:00.000Z')
const customerId: CustomerId = 'cus_ann'
const consentId: ConsentId = 'con_one'
const account: AccountId = 'acc_one'
const consent: ConsentStanding = {
  id: consentId,
  clientId: 'tpp',
  kind: 'account_access',
  status: 'AUTH',
  customerId,
  grantId: 'grant',
  permissions: ['ReadAccountsBasic', 'ReadBalances', 'ReadTransactionsBasic', 'ReadTransactionsCredits'],
  expiresAt: new Date(now.getTime() + 1),
  transactionFrom: undefined,
  transactionTo: now,
  deletedAt: undefined,
}
const standing: Standing = {
  client: { status: 'active', firstParty: false },
  grant: { customerId, revokedAt: undefined, expiresAt: new Date(now.getTime() + 1) },
  consent,
  accounts: new Set([account]),
}
const token: TokenClaims = {
  clientId: 'tpp',
  scopes: new Set(['openid', 'accounts']),
  grantId: 'grant',
  consentId,
  acr: 'urn:openbanking:psd2:sca',
  authTime: now.getTime() / 1000,
}
const paymentToken = { ...token, scopes: new Set(['openid', 'payments']) }
const clientToken = { ...token, grantId: undefined, consentId: undefined, acr: undefined, authTime: undefined }
const payment: ConsentStanding = { ...consent, kind: 'domestic_payment', permissions: [], expiresAt: undefined }

const firstPartyScopes = ['profile', 'accounts:read', 'transactions:read', 'payments:write', 'beneficiaries:read', 'beneficiaries:write']
const appToken = { ...token, scopes: new Set(firstPartyScopes), consentId: undefined }
const appStanding: Standing = { ...standing, client: { status: 'active', firstParty: true }, consent: undefined }
const transfer: ConsentStanding = { ...payment, kind: 'transfer' }

const read: AccessRequest = { api: 'uk', operation: 'accounts.list', now }
const refusal = (
  changed: Partial<Standing>,
  claims: Partial<TokenClaims> = {},
  request: AccessRequest = read,
  from = standing,
  base = token,
) => {
  try {
    decideAccess({ ...from, ...changed }, { ...request, token: { ...base, ...claims } })
  } catch (error) {
    assert.ok(error instanceof AccessRefusal)
    return { code: error.code, ...error.facts }
  }
  return undefined
}
const consentIs = (changed: Partial<ConsentStanding>) => refusal({ consent: { ...consent, ...changed } })
const uk = (operation: UkOperation): AccessRequest => ({ api: 'uk', operation, now })
const bank = (operation: BankOperation): AccessRequest => ({ api: 'bank', operation, now })
const ofApp = (operation: BankOperation, claims: Partial<TokenClaims> = {}, changed: Partial<Standing> = {}) =>
  refusal(changed, claims, bank(operation), appStanding, appToken)

test('RW-ST-04 a client that is blocked or gone is refused before anything else', () => {
  assert.deepEqual(refusal({ client: { status: 'blocked', firstParty: false } }, { scopes: new Set() }), { code: 'client_blocked' })
  assert.deepEqual(refusal({ client: undefined }), { code: 'client_blocked' })
})
test('RW-ST-06 PIS-01 without the scope it is refused, with the scope named', () => {
  assert.deepEqual(refusal({}, { scopes: new Set(['payments']) }), { code: 'permission_missing', scope: 'accounts' })
  assert.deepEqual(refusal({ consent: payment }, {}, uk('payment.submit')), { code: 'permission_missing', scope: 'payments' })
})
test('D5 a client-credentials token opens nothing of a customer', () => {
  for (const operation of ['accounts.list', 'account.read', 'balances.read', 'transactions.read'] as const)
    assert.deepEqual(refusal({ grant: undefined, consent: undefined, accounts: new Set() }, clientToken, uk(operation)), {
      code: 'token_without_consent',
    })
  for (const operation of ['payment.submit', 'funds.confirm'] as const)
    assert.deepEqual(refusal({ grant: undefined, consent: undefined }, { ...clientToken, scopes: paymentToken.scopes }, uk(operation)), {
      code: 'token_without_consent',
    })
})
test('D5 a consent of another kind, of another client, or none is no consent', () => {
  assert.deepEqual(consentIs({ kind: 'domestic_payment' }), { code: 'token_without_consent' })
  assert.deepEqual(consentIs({ clientId: 'other' }), { code: 'token_without_consent' })
  assert.deepEqual(refusal({ consent: undefined }), { code: 'token_without_consent' })
})
test('RW-ST-06 a customer’s token is not for lodging, reading or deleting consents', () => {
  for (const operation of ['account_consent.lodge', 'account_consent.read', 'account_consent.delete'] as const)
    assert.deepEqual(refusal({}, {}, uk(operation)), { code: 'permission_missing' })
  for (const operation of ['payment_consent.lodge', 'payment_consent.read'] as const)
    assert.deepEqual(refusal({ consent: payment }, paymentToken, uk(operation)), { code: 'permission_missing' })
})
test('RW-ST-04 a grant that is revoked, run out or gone is refused', () => {
  const grant = { customerId, revokedAt: undefined, expiresAt: new Date(now.getTime() + 1) }
  assert.deepEqual(refusal({ grant: { ...grant, revokedAt: now } }), { code: 'grant_revoked' })
  assert.deepEqual(refusal({ grant: { ...grant, expiresAt: now } }), { code: 'grant_revoked' })
  assert.deepEqual(refusal({ grant: undefined }), { code: 'grant_revoked' })
  assert.deepEqual(refusal({ grant: { ...grant, customerId: 'cus_eve' } }), { code: 'grant_revoked' })
})
test('RW-TOK-04 CON-08 a token of an earlier authorisation, or of a deleted consent, is refused', () => {
  assert.deepEqual(consentIs({ grantId: 'newer' }), { code: 'grant_revoked' })
  assert.deepEqual(consentIs({ deletedAt: now }), { code: 'grant_revoked' })
})
test('RW-ST-05 D3 an expired consent says so, whether or not it was noticed before', () => {
  const expired = { code: 'consent_not_authorised', consentStatus: 'EXPD' }
  assert.deepEqual(consentIs({ expiresAt: now }), expired)
  assert.deepEqual(consentIs({ status: 'EXPD' }), expired)
  assert.deepEqual(refusal({ consent: { ...consent, status: 'EXPD' }, grant: undefined }), expired)
})
test('AIS-20 a consent in any other state than authorised is refused with its state', () => {
  for (const status of ['AWAU', 'RJCT', 'CANC'] as const)
    assert.deepEqual(consentIs({ status }), { code: 'consent_not_authorised', consentStatus: status })
})
test('AIS-06 each endpoint needs its permission', () => {
  assert.deepEqual(consentIs({ permissions: ['ReadBalances'] }), { code: 'permission_missing' })
  const reads = (operation: UkOperation, permissions: ConsentStanding['permissions']) =>
    refusal({ consent: { ...consent, permissions } }, {}, uk(operation))
  assert.deepEqual(reads('balances.read', ['ReadAccountsDetail']), { code: 'permission_missing' })
  assert.deepEqual(reads('transactions.read', ['ReadAccountsDetail', 'ReadTransactionsBasic']), { code: 'permission_missing' })
  assert.deepEqual(reads('transactions.read', ['ReadAccountsDetail', 'ReadTransactionsDebits']), { code: 'permission_missing' })
  assert.equal(reads('transactions.read', ['ReadTransactionsDetail', 'ReadTransactionsDebits']), undefined)
})
test('D4 NAT-S2 an account that was not chosen and one that does not exist are one answer', () => {
  for (const accountId of ['acc_other', 'nonsense', ''])
    assert.deepEqual(refusal({}, {}, { ...uk('account.read'), accountId } as AccessRequest), { code: 'account_not_permitted' })
})
test('RW-ST-06 the permission is asked for before the account: no oracle', () => {
  assert.deepEqual(refusal({ consent: { ...consent, permissions: [] } }, {}, { ...read, accountId: 'acc_other' }), {
    code: 'permission_missing',
  })
})
test('PIS-14 a token for one consent does not serve another', () => {
  const request = { ...uk('payment.submit'), consentId: 'con_two' } as AccessRequest
  assert.deepEqual(refusal({ consent: payment }, paymentToken, request), { code: 'consent_not_yours' })
})

test('AIS-04 AIS-09 a decision opens what the consent does: accounts, permissions with those implied, window', () => {
  const decision = decideAccess({ ...standing, consent: { ...consent, permissions: ['ReadAccountsDetail'] } }, { ...read, token })
  assert.deepEqual([decision.clientId, decision.customerId, decision.consentId], ['tpp', customerId, consentId])
  assert.deepEqual([...decision.accounts], [account])
  assert.deepEqual([...decision.permissions], ['ReadAccountsDetail', 'ReadAccountsBasic'])
  assert.deepEqual(decision.window, { from: undefined, to: now })
})
test('PIS-01 a client’s own token lodges and reads, and reaches nobody’s accounts', () => {
  for (const operation of ['account_consent.lodge', 'account_consent.read', 'account_consent.delete'] as const) {
    const decision = decideAccess({ ...standing, grant: undefined, consent: undefined, accounts: new Set() }, {
      ...uk(operation),
      token: clientToken,
    } as never)
    assert.deepEqual(
      [decision.customerId, decision.consentId, decision.accounts.size, decision.permissions.size],
      [undefined, undefined, 0, 0],
    )
  }
  assert.equal(
    refusal({ grant: undefined, consent: undefined }, { ...clientToken, scopes: paymentToken.scopes }, uk('payment.read')),
    undefined,
  )
})
test('PIS-15 a consumed payment consent still lets a repeated request find its payment', () => {
  for (const status of ['AUTH', 'COND', 'RJCT'] as const)
    assert.equal(refusal({ consent: { ...payment, status } }, paymentToken, uk('payment.submit')), undefined)
  assert.deepEqual(refusal({ consent: { ...payment, status: 'AWAU' } }, paymentToken, uk('payment.submit'))?.code, 'consent_not_authorised')
})

test('BCP-16 NAT-S1 a client-credentials token opens nothing of the bank’s own API', () => {
  for (const operation of Object.keys(operations.bank) as BankOperation[])
    assert.deepEqual(ofApp(operation, clientToken.scopes && { ...clientToken, scopes: appToken.scopes }, { grant: undefined }), {
      code: 'token_without_consent',
    })
})
test('NAT-S7 a third party does not reach the bank’s own API, whatever its scopes', () => {
  for (const operation of Object.keys(operations.bank) as BankOperation[])
    assert.deepEqual(refusal({}, { scopes: new Set(firstPartyScopes) }, bank(operation)), { code: 'permission_missing' })
})
test('NAT-S1 NAT-S3 each operation needs its scope', () => {
  for (const [operation, { scope }] of Object.entries(operations.bank)) {
    const scopes = new Set(firstPartyScopes.filter((other) => other !== scope))
    assert.deepEqual(ofApp(operation as BankOperation, { scopes }), { code: 'permission_missing', scope })
  }
})
test('NAT-S1 a revoked grant ends a first-party app too', () => {
  assert.deepEqual(ofApp('profile.read', {}, { grant: undefined }), { code: 'grant_revoked' })
})
test('NAT-S2 a foreign account is not found', () => {
  assert.deepEqual(refusal({}, {}, { ...bank('account.read'), accountId: 'acc_eve' } as AccessRequest, appStanding, appToken), {
    code: 'account_not_permitted',
  })
})
test('NAT-S4 STEP-01 a transfer without its own authorisation asks for a step-up', () => {
  const stepUp = { acrValues: 'urn:openbanking:psd2:sca', maxAgeSeconds: 300 }
  const asked = { code: 'insufficient_user_authentication', stepUp }
  assert.deepEqual(ofApp('transfer.submit'), asked)
  assert.deepEqual(ofApp('transfer.submit', { consentId }, { consent: payment }), asked)
  assert.deepEqual(ofApp('transfer.submit', { consentId, acr: undefined }, { consent: transfer }), asked)
  assert.deepEqual(ofApp('transfer.submit', { consentId }, { consent: { ...transfer, grantId: 'newer' } }), { code: 'grant_revoked' })
  assert.deepEqual(ofApp('transfer.submit', { consentId }, { consent: { ...transfer, status: 'AWAU' } })?.code, 'consent_not_authorised')
  assert.equal(ofApp('transfer.submit', { consentId }, { consent: transfer }), undefined)
})
test('STEP-01 NAT-S7 adding a beneficiary needs a strong authentication of the last five minutes', () => {
  const at = (ageSeconds: number) => now.getTime() / 1000 - ageSeconds
  assert.equal(ofApp('beneficiaries.add', { authTime: at(301) })?.code, 'insufficient_user_authentication')
  assert.equal(ofApp('beneficiaries.add', { authTime: undefined })?.code, 'insufficient_user_authentication')
  assert.equal(ofApp('beneficiaries.add', { acr: 'urn:openbanking:psd2:ca' })?.code, 'insufficient_user_authentication')
  assert.equal(ofApp('beneficiaries.add', { acr: undefined })?.code, 'insufficient_user_authentication')
  assert.equal(ofApp('beneficiaries.add', { authTime: at(300) }), undefined)
})
test('NAT-A2 what a scope opens is what it says', () => {
  const decision = (scopes: string[], operation: BankOperation) =>
    decideAccess(appStanding, { ...bank(operation), token: { ...appToken, scopes: new Set(scopes) } } as never)
  assert.deepEqual([...decision(['accounts:read'], 'accounts.list').permissions], ['ReadAccountsDetail', 'ReadBalances'])
  assert.deepEqual([...decision(['profile'], 'profile.read').permissions], [])
  assert.deepEqual(decision(['transactions:read'], 'transactions.read').window, { from: undefined, to: undefined })
})
