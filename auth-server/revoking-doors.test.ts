import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setClientStatus } from '@bankside/bank/clients/set-client-status'
import { revokeConsent } from '@bankside/bank/consents/revoke-consent'
import { sql, transact } from '@bankside/service-kit/postgres'
import { authoriseAccounts, pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { callGrant, ownToken } from './testing/grants-client.ts'
import { type ResourceServer, startResourceServer } from './testing/resource-server.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { ThirdParty } from './testing/third-party.ts'

let server: TestServer
let api: ResourceServer
let ada: TestCustomer
let acorn: ThirdParty
let ukApi: ThirdParty
const metadata = { scope: 'openid accounts payments grant_management_query grant_management_revoke' }

before(async () => {
  server = await startTestServer()
  api = await startResourceServer(server)
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn', { metadata })
  ukApi = await ThirdParty.register(server, 'uk-api', { profile: 'resource_server', metadata: { audience: server.audiences.uk } })
})
after(async () => {
  await api.close()
  await server.stop()
})

const aisp = '/open-banking/v4.0/aisp'
const basic = ['ReadAccountsBasic', 'ReadBalances']
const asked = (permissions = basic) => ({
  claims: undefined,
  authorization_details: JSON.stringify([{ type: 'account_information', permissions }]),
  grant_management_action: 'create',
})

/** An access that the customer gave, with everything that can be had for it. */
type Given = {
  readonly consentId: string
  readonly grantId: string
  readonly accessToken: string
  readonly refreshToken: string
}

async function given(client = acorn): Promise<Given> {
  const { code } = await authoriseAccounts(client, ada, asked())
  const { json } = await client.redeem(code)
  const [detail] = json['authorization_details'] as { consent_id: string }[]
  const text = (name: string) => String(json[name])
  return {
    consentId: String(detail?.consent_id),
    grantId: text('grant_id'),
    accessToken: text('access_token'),
    refreshToken: text('refresh_token'),
  }
}

/** The same before its code is redeemed: what nobody has been told yet is read from the database. */
async function givenWithCode(): Promise<Omit<Given, 'accessToken' | 'refreshToken'> & { readonly code: string }> {
  const { code } = await authoriseAccounts(acorn, ada, asked())
  const row = (await server.owner.one(sql.unsafe`
    select consent_id, managed_grant_id from consents.consent where client_id = 'acorn' and status = 'AUTH'
    order by authorised_at desc limit 1`)) as { consent_id: string; managed_grant_id: string }
  return { consentId: row.consent_id, grantId: row.managed_grant_id, code }
}

const stillOpen = async ({ accessToken, refreshToken, grantId }: Given) => {
  const [read, refreshed, grant, told] = [
    await api.call(acorn, 'GET', `${aisp}/accounts`, accessToken),
    await acorn.refresh(refreshToken),
    await callGrant(acorn, 'GET', grantId),
    await ukApi.post('/introspection', { token: accessToken }),
  ]
  return [read.status, refusal(refreshed), grant.status, told.json['active']] as const
}

const setStatus = (status: 'active' | 'blocked') =>
  transact(server.owner, (tx) => setClientStatus(tx, { clientId: 'acorn', status, actor: 'operator', now: new Date() }))

/** Every way in which an access ends, and what the consent is afterwards. */
type Door = { readonly use: (given: Pick<Given, 'consentId' | 'grantId'> & Partial<Given>) => Promise<unknown>; readonly leaves: string }
const doors: Readonly<Record<string, Door>> = {
  'CON-08 the third party deletes its consent over the UK API': {
    leaves: 'AUTH',
    async use({ consentId }) {
      const path = `${aisp}/account-access-consents/${consentId}`
      assert.equal((await api.call(acorn, 'DELETE', path, await ownToken(acorn, 'accounts'))).status, 204)
    },
  },
  'GM-09 the third party deletes its grant': {
    leaves: 'CANC',
    use: async ({ grantId }) => assert.equal((await callGrant(acorn, 'DELETE', grantId)).status, 204),
  },
  'REV-01 the third party revokes its refresh token': {
    leaves: 'CANC',
    use: async ({ refreshToken }) => assert.equal((await acorn.post('/revocation', { token: refreshToken })).status, 200),
  },
  'DB-05 the customer stops the access': {
    leaves: 'CANC',
    use: ({ consentId }) => transact(server.owner, (tx) => revokeConsent(tx, { consentId, customerId: ada.customerId, now: new Date() })),
  },
}

for (const [door, { use, leaves }] of Object.entries(doors)) {
  test(`GM-12 ${door}: access token, introspection, refresh token and grant are dead at once`, async () => {
    const access = await given()
    assert.deepEqual(await stillOpen(access), [200, '200 undefined', 200, true])
    await use(access)
    assert.deepEqual(await stillOpen(access), [401, '400 invalid_grant', 404, false])
    assert.equal((await readConsent(server, access.consentId)).status, leaves)
    const consent = await api.call(acorn, 'GET', `${aisp}/account-access-consents/${access.consentId}`, await ownToken(acorn, 'accounts'))
    if (leaves === 'CANC') assert.equal((consent.json['Data'] as { Status: string }).Status, 'CANC')
    else assert.equal(consent.status, 400)
  })

  if (door.startsWith('REV-01')) continue
  test(`GM-12 ${door}: a code that was not redeemed is dead`, async () => {
    const { code, ...access } = await givenWithCode()
    await use(access)
    assert.equal(refusal(await acorn.redeem(code)), '400 invalid_grant')
    assert.equal((await callGrant(acorn, 'GET', access.grantId)).status, 404)
  })

  test(`GM-12 ${door}: while tokens are being refreshed, none of them opens anything afterwards`, async () => {
    const access = await given()
    const refreshing = Array.from({ length: 6 }, () => acorn.refresh(access.refreshToken))
    const [answers] = await Promise.all([Promise.all(refreshing), use(access)])
    for (const { status, json } of answers) {
      if (status !== 200) continue
      assert.equal((await api.call(acorn, 'GET', `${aisp}/accounts`, String(json['access_token']))).status, 401)
      assert.equal(refusal(await acorn.refresh(String(json['refresh_token']))), '400 invalid_grant')
    }
  })

  test(`GM-12 ${door}: while a code is being redeemed, what it gives opens nothing afterwards`, async () => {
    const { code, ...access } = await givenWithCode()
    const [answer] = await Promise.all([acorn.redeem(code), use(access)])
    if (answer.status !== 200) return
    assert.equal((await api.call(acorn, 'GET', `${aisp}/accounts`, String(answer.json['access_token']))).status, 401)
    assert.equal(refusal(await acorn.refresh(String(answer.json['refresh_token']))), '400 invalid_grant')
  })
}

test('GM-12 RW-ST-04 a blocked client’s tokens, codes and grants are dead at once, and live again when it is let in', async () => {
  const access = await given()
  const { code } = await givenWithCode()
  const own = await ownToken(acorn, 'grant_management_query')
  await setStatus('blocked')
  assert.equal((await api.call(acorn, 'GET', `${aisp}/accounts`, access.accessToken)).status, 401)
  assert.equal(refusal(await acorn.refresh(access.refreshToken)), '401 invalid_client')
  assert.equal(refusal(await acorn.redeem(code)), '401 invalid_client')
  assert.equal(refusal(await callGrant(acorn, 'GET', access.grantId, { token: own })), '401 invalid_token')
  assert.deepEqual((await ukApi.post('/introspection', { token: access.accessToken })).json, { active: false })
  await setStatus('active')
  assert.deepEqual(await stillOpen(access), [200, '200 undefined', 200, true])
})

test('REV-01 BCP-06 another client’s refresh token is neither used nor revoked; an unknown one is nothing', async () => {
  const access = await given()
  const cobalt = await ThirdParty.register(server, 'cobalt', { metadata })
  assert.equal(refusal(await cobalt.refresh(access.refreshToken)), '400 invalid_grant')
  const revoked = await cobalt.post('/revocation', { token: access.refreshToken })
  assert.deepEqual([revoked.status, revoked.text], [200, ''])
  assert.equal((await acorn.post('/revocation', { token: 'nothing' })).status, 200)
  assert.equal(
    (await acorn.post('/revocation', { token: access.refreshToken, client_assertion: await acorn.assertion({ aud: 'x' }) })).status,
    401,
  )
  assert.deepEqual(await stillOpen(access), [200, '200 undefined', 200, true])
})

test('REV-01 REV-02 a revoked access token is dead with its next call; the grant, the refresh token and other access tokens are not', async () => {
  const access = await given()
  const { json } = await acorn.refresh(access.refreshToken)
  const own = await ownToken(acorn, 'accounts')
  const cobalt = await ThirdParty.register(server, 'cobalt-2', { metadata })
  assert.equal((await cobalt.post('/revocation', { token: access.accessToken })).status, 200, 'of another client: nothing happens')
  assert.deepEqual(await stillOpen(access), [200, '200 undefined', 200, true])
  for (const token of [access.accessToken, own]) {
    const answer = await acorn.post('/revocation', { token, token_type_hint: 'access_token' })
    assert.deepEqual([answer.status, answer.text], [200, ''])
  }
  assert.deepEqual(await stillOpen(access), [401, '200 undefined', 200, false])
  assert.equal((await api.call(acorn, 'GET', `${aisp}/accounts`, String(json['access_token']))).status, 200)
  assert.equal((await api.call(acorn, 'POST', `${aisp}/account-access-consents`, own, {})).status, 401)
  assert.equal((await acorn.userinfo(access.accessToken)).status, 401)
})

test('REV-01 revoking twice, or with a hint of another kind, comes to the same', async () => {
  const access = await given()
  for (const hint of ['access_token', 'refresh_token'])
    assert.equal((await acorn.post('/revocation', { token: access.refreshToken, token_type_hint: hint })).status, 200)
  assert.deepEqual(await stillOpen(access), [401, '400 invalid_grant', 404, false])
})

test('GM-12 RW-TOK-04 what was revoked may be given again under the same consent: as a new grant, never as the old one', async () => {
  const access = await given()
  await acorn.post('/revocation', { token: access.refreshToken })
  const detail = { type: 'openbanking_consent', consent_id: access.consentId }
  const { code } = await authoriseAccounts(acorn, ada, { claims: undefined, authorization_details: JSON.stringify([detail]) })
  const { json } = await acorn.redeem(code)
  assert.equal((await api.call(acorn, 'GET', `${aisp}/accounts`, String(json['access_token']))).status, 200)
  assert.deepEqual(await stillOpen(access), [401, '400 invalid_grant', 404, false])
})

test('GM-09 GM-12 PIS-18 the grant of a payment that was not made is deleted: its token pays nothing, and the payment is off', async () => {
  const number = await server.owner.oneFirst(
    sql.unsafe`select sort_code || account_number from ledger.account where account_id = ${ada.accounts[1] ?? ''}`,
  )
  const payment = {
    ...{ type: 'payment_initiation', instructionIdentification: 'I1', endToEndIdentification: 'E1' },
    instructedAmount: { amount: '1.00', currency: 'GBP' },
    creditorAccount: { schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: number, name: 'Ada' },
  }
  const agreed = async () => {
    const params = { scope: 'openid payments', authorization_details: JSON.stringify([payment]), grant_management_action: 'create' }
    const at = new CustomerAtBrowser(server, ada)
    const page = await at.signIn(await at.open(acorn, await pushed(acorn, params)))
    const { code = '' } = responseOf(await at.agree(page, ada.accounts.slice(0, 1)))
    const { json } = await acorn.redeem(code)
    const [{ consent_id: ConsentId = '' } = {}] = json['authorization_details'] as { consent_id: string }[]
    return { ConsentId, grantId: String(json['grant_id']), token: String(json['access_token']) }
  }
  const pay = async ({ ConsentId, token }: { ConsentId: string; token: string }) => {
    const path = '/open-banking/v4.0/pisp'
    const read = await api.call(acorn, 'GET', `${path}/domestic-payment-consents/${ConsentId}`, await ownToken(acorn, 'payments'))
    const { Initiation } = read.json['Data'] as { Initiation: object }
    return api.call(acorn, 'POST', `${path}/domestic-payments`, token, { Data: { ConsentId, Initiation }, Risk: {} })
  }
  const off = await agreed()
  assert.equal((await callGrant(acorn, 'DELETE', off.grantId)).status, 204)
  assert.equal((await pay(off)).status, 401)
  assert.deepEqual((await readConsent(server, off.ConsentId)).status, 'RJCT')

  const made = await agreed()
  assert.equal((await callGrant(acorn, 'GET', made.grantId)).status, 200)
  assert.equal((await pay(made)).status, 201)
  assert.equal((await callGrant(acorn, 'GET', made.grantId)).status, 404, 'spent: there is nothing left to manage')
  assert.equal((await callGrant(acorn, 'DELETE', made.grantId)).status, 404)
  assert.equal((await readConsent(server, made.ConsentId)).status, 'COND')
})
