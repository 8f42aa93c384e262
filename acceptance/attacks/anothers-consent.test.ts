import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { agreePayment, shareAccounts } from '../rig/consented.ts'
import { oauthError } from '../rig/oauth-error.ts'
import { openRig, type Rig } from '../rig/rig.ts'
import { aisp, getAccountAccess, getPayment, getPaymentConsent, lodgeAccountAccess, submitPayment } from '../third-party/uk-open-banking.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())

test('OIDC-04 RW-ST-06 D4 another client’s account consent cannot be looked at, deleted or sent to a customer', async () => {
  const { consentId, thirdParty } = await shareAccounts(rig, { clientId: 'tpp-tls-mtls' })
  const other = await rig.thirdParty('tpp-pkjwt-dpop')
  assert.equal((await getAccountAccess(other, consentId)).status, 403)
  const { access_token } = await other.clientCredentials('accounts')
  assert.equal((await other.call(access_token, 'DELETE', aisp(other, `/account-access-consents/${consentId}`))).status, 403)
  for (const namedBy of ['claims', 'authorization_details', 'both'] as const)
    assert.equal(await oauthError(other.start({ scope: 'openid accounts', intent: { consentId, namedBy } })), 'invalid_request', namedBy)
  assert.equal((await getAccountAccess(thirdParty, consentId)).at('Data.Status'), 'AUTH')
})

test('D4 a consent id that nobody has is 400 U011', async () => {
  const answer = await getAccountAccess(await rig.thirdParty('tpp-pkjwt-dpop'), `con_${'0'.repeat(32)}`)
  assert.deepEqual([answer.status, answer.at('Errors.0.ErrorCode')], [400, 'U011'])
})

test('D4 PIS-14 another client’s payment consent and payment cannot be looked at, and cannot be paid with', async () => {
  const agreed = await agreePayment(rig, { clientId: 'tpp-tls-dpop' })
  const other = await rig.thirdParty('tpp-pkjwt-mtls')
  assert.equal((await getPaymentConsent(other, agreed.consentId)).status, 403)
  const own = await agreePayment(rig, { clientId: 'tpp-pkjwt-mtls' })
  assert.equal((await submitPayment(other, own.tokens.access_token, agreed.consentId, agreed.body)).status, 403)
  const made = await submitPayment(agreed.thirdParty, agreed.tokens.access_token, agreed.consentId, agreed.body)
  assert.equal(made.status, 201, made.text)
  assert.equal((await getPayment(other, made.textAt('Data.DomesticPaymentId'))).status, 403)
})

test('AIS-20 a consent that the third party deleted starts nothing, and its tokens are dead', async () => {
  const consented = await shareAccounts(rig)
  const { access_token } = await consented.thirdParty.clientCredentials('accounts')
  const path = aisp(consented.thirdParty, `/account-access-consents/${consented.consentId}`)
  assert.equal((await consented.thirdParty.call(access_token, 'DELETE', path)).status, 204)
  assert.equal((await consented.thirdParty.call(consented.tokens.access_token, 'GET', aisp(consented.thirdParty, '/accounts'))).status, 401)
  assert.equal((await consented.thirdParty.call(access_token, 'GET', path)).status, 400)
  const intent = { consentId: consented.consentId, namedBy: 'claims' } as const
  assert.equal(await oauthError(consented.thirdParty.start({ scope: 'openid accounts', intent })), 'invalid_request')
})

test('OIDC-04 a fresh consent of another client is no better', async () => {
  const mine = await rig.thirdParty('tpp-pkjwt-dpop')
  const consentId = (await lodgeAccountAccess(await rig.thirdParty('tpp-pkjwt-mtls'))).textAt('Data.ConsentId')
  assert.equal(await oauthError(mine.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'both' } })), 'invalid_request')
})
