import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { decodeJwt } from 'jose'
import { authorise, read, shareAccounts } from '../rig/consented.ts'
import { oauthError } from '../rig/oauth-error.ts'
import { hasThreeAccounts, openRig, type Rig } from '../rig/rig.ts'
import { aisp, getAccountAccess, lodgeAccountAccess, readEverything } from '../third-party/uk-open-banking.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())

const combinations = [
  { clientId: 'tpp-pkjwt-dpop', namedBy: 'claims' },
  { clientId: 'tpp-pkjwt-mtls', namedBy: 'authorization_details' },
  { clientId: 'tpp-tls-dpop', namedBy: 'both' },
  { clientId: 'tpp-tls-mtls', namedBy: 'claims' },
] as const

for (const { clientId, namedBy } of combinations) {
  test(`FAPI2-CL-01 FAPI2-CL-06 FAPI2-AS-05 AIS-12 ${clientId} reads the two accounts of three that were chosen, the consent named by ${namedBy}`, async () => {
    const person = rig.someone(hasThreeAccounts)
    const [first, second, third] = person.accounts.map(({ id }) => id)
    const consented = await shareAccounts(rig, { clientId, namedBy, person, wishes: { choose: () => [first ?? '', second ?? ''] } })
    const list = await read(consented, '/accounts')
    assert.deepEqual(
      list
        .listAt('Data.Account')
        .map((account) => account.at('AccountId'))
        .sort(),
      [first, second].sort(),
    )
    assert.equal((await read(consented, `/accounts/${first}`)).status, 200)
    assert.ok((await read(consented, `/accounts/${first}/balances`)).listAt('Data.Balance').length > 0)
    assert.ok((await read(consented, `/accounts/${first}/transactions`)).listAt('Data.Transaction').length > 0)
    for (const path of ['', '/balances', '/transactions']) assert.equal((await read(consented, `/accounts/${third}${path}`)).status, 403)
  })

  test(`FAPI2-AS-04 FAPI2-AS-14 OIDC-04 RAR-03 the token of ${clientId} is bound, short, and carries the consent; the ID token or the granted details name it`, async () => {
    const { tokens, consentId, thirdParty } = await shareAccounts(rig, { clientId, namedBy })
    const claims = decodeJwt(tokens.access_token)
    const confirmation = claims['cnf'] as Record<string, string>
    const bound = thirdParty.client.sender_constraint === 'dpop' ? 'jkt' : 'x5t#S256'
    assert.deepEqual(Object.keys(confirmation), [bound])
    assert.deepEqual(
      [claims['consent_id'], claims['client_id'], claims.aud],
      [consentId, clientId, rig.description.audiences.uk_open_banking],
    )
    assert.ok((claims.exp ?? 0) - (claims.iat ?? 0) <= 600)
    assert.equal(tokens.expires_in, 300)
    if (namedBy !== 'authorization_details') assert.equal(tokens.claims()?.['openbanking_intent_id'], consentId)
    if (namedBy !== 'claims')
      assert.deepEqual(
        tokens.authorization_details?.map((detail) => detail['consent_id']),
        [consentId],
      )
    assert.equal(tokens.claims()?.['acr'], 'urn:openbanking:psd2:sca')
  })

  test(`FAPI2-AS-09 FAPI2-CL-05 ${clientId} refreshes twice with one refresh token, which does not rotate`, async () => {
    const consented = await shareAccounts(rig, { clientId, namedBy })
    const refreshToken = consented.tokens.refresh_token ?? ''
    for (const round of ['first', 'second']) {
      const tokens = await consented.thirdParty.refresh(refreshToken)
      assert.ok(tokens.refresh_token === undefined || tokens.refresh_token === refreshToken, `${round}: it rotated`)
      assert.equal((await read({ ...consented, tokens }, '/accounts')).status, 200)
    }
  })
}

test('RW-TOK-08 a consent for accounts with the scope for payments is refused with invalid_scope', async () => {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-dpop')
  const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
  assert.equal(await oauthError(thirdParty.start({ scope: 'openid payments', intent: { consentId, namedBy: 'claims' } })), 'invalid_scope')
})

test('RW-TOK-07 a claim and a detail that name different consents are refused', async () => {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-dpop')
  const [one, other] = await Promise.all([lodgeAccountAccess(thirdParty), lodgeAccountAccess(thirdParty)])
  const details = JSON.stringify([{ type: 'openbanking_consent', consent_id: other.textAt('Data.ConsentId') }])
  const request = {
    scope: 'openid accounts',
    intent: { consentId: one.textAt('Data.ConsentId'), namedBy: 'claims' },
    parameters: { authorization_details: details },
  } as const
  assert.equal(await oauthError(thirdParty.start(request)), 'invalid_request')
})

test('RW-TOK-07 a request that names no consent is refused', async () => {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-dpop')
  assert.equal(await oauthError(thirdParty.start({ scope: 'openid accounts' })), 'invalid_request')
})

test('AIS-06 AIS-07 AIS-08 a narrow consent opens what it names and nothing else', async () => {
  const permissions = ['ReadAccountsBasic', 'ReadTransactionsBasic', 'ReadTransactionsCredits']
  const consented = await shareAccounts(rig, { access: { permissions } })
  const [account] = (await read(consented, '/accounts')).listAt('Data.Account')
  assert.equal(account?.at('Account'), undefined, 'account numbers need ReadAccountsDetail')
  const id = account?.textAt('AccountId')
  assert.equal((await read(consented, `/accounts/${id}/balances`)).status, 403)
  const transactions = (await read(consented, `/accounts/${id}/transactions`)).listAt('Data.Transaction')
  assert.deepEqual([...new Set(transactions.map((each) => each.at('CreditDebitIndicator')))], ['Credit'])
  assert.ok(
    transactions.every((each) => each.at('TransactionInformation') === undefined),
    'descriptions need ReadTransactionsDetail',
  )
})

test('AIS-09 transactions outside the window of the consent are never shown', async () => {
  const transactionFrom = new Date(Date.now() - 20 * 86_400_000).toISOString()
  const consented = await shareAccounts(rig, { access: { transactionFrom } })
  const accounts = (await read(consented, '/accounts')).listAt('Data.Account')
  const busy = accounts.find((account) => account.textAt('AccountTypeCode') === 'CACC')
  const shown = await read(consented, `/accounts/${busy?.textAt('AccountId')}/transactions?fromBookingDateTime=2000-01-01T00:00:00`)
  const times = shown.listAt('Data.Transaction').map((each) => Date.parse(each.textAt('BookingDateTime')))
  assert.ok(times.length > 0 && times.every((time) => time >= Date.parse(transactionFrom)), shown.text)
})

test('RW-ID-01 an idempotency key on an account access consent is ignored: two consents', async () => {
  const thirdParty = await rig.thirdParty('tpp-tls-mtls')
  const { access_token } = await thirdParty.clientCredentials('accounts')
  const lodge = () =>
    thirdParty.call(access_token, 'POST', aisp(thirdParty, '/account-access-consents'), {
      body: { Data: { Permissions: readEverything }, Risk: {} },
      headers: { 'x-idempotency-key': 'same' },
    })
  const [one, other] = [await lodge(), await lodge()]
  assert.notEqual(one.textAt('Data.ConsentId'), other.textAt('Data.ConsentId'))
})

test('CX-07 RW-ST-14 RW-TOK-06 FAPI2-AZ-07 who cancels goes back with access_denied, the consent is rejected with U036 and starts nothing more', async () => {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-dpop')
  for (const cancelAt of ['sign_in', 'choose_accounts'] as const) {
    const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
    const intent = { consentId, namedBy: 'claims' } as const
    const started = await thirdParty.start({ scope: 'openid accounts', intent })
    const { callback } = await rig.customer(rig.someone()).authorise(started.url, { cancelAt })
    assert.equal(callback?.searchParams.get('error'), 'access_denied')
    assert.equal(callback?.searchParams.get('iss'), rig.description.issuer)
    assert.equal(callback?.searchParams.get('state'), started.state)
    const consent = await getAccountAccess(thirdParty, consentId)
    assert.deepEqual([consent.at('Data.Status'), consent.at('Data.StatusReason.0.StatusReasonCode')], ['RJCT', 'U036'])
    assert.equal(await oauthError(thirdParty.start({ scope: 'openid accounts', intent })), 'invalid_request')
  }
})

test('RW-TOK-04 RW-TOK-05 CX-14 consent given again: the same accounts are ticked, and the old tokens are dead', async () => {
  const person = rig.someone(hasThreeAccounts)
  const chosen = person.accounts.slice(0, 2).map(({ id }) => id)
  const first = await shareAccounts(rig, { person, wishes: { choose: () => chosen } })
  const ticked: string[] = []
  const wishes = {
    choose(offered: readonly { id: string; checked: boolean }[]) {
      ticked.push(...offered.filter(({ checked }) => checked).map(({ id }) => id))
      return ticked
    },
  }
  const again = await authorise(rig, first.thirdParty, person, { consentId: first.consentId, scope: 'openid accounts', wishes })
  assert.deepEqual(ticked.sort(), [...chosen].sort())
  assert.equal((await read(again, '/accounts')).status, 200)
  assert.equal(await oauthError(first.thirdParty.refresh(first.tokens.refresh_token ?? '')), 'invalid_grant')
  assert.equal((await read(first, '/accounts')).status, 401)
})

test('RW-TOK-01 a consent that one customer authorised cannot be taken over by another', async () => {
  const first = await shareAccounts(rig)
  const other = rig.someone(({ username }) => username !== first.person.username)
  const started = await first.thirdParty.start({ scope: 'openid accounts', intent: { consentId: first.consentId, namedBy: 'claims' } })
  const { screens, callback } = await rig.customer(other).authorise(started.url)
  assert.equal(callback?.searchParams.get('code') ?? null, null)
  if (callback) assert.equal(callback.searchParams.get('error'), 'access_denied')
  else assert.match(screens.at(-1)?.text ?? '', /another customer/)
  assert.equal((await read(first, '/accounts')).status, 200)
})

test('FAPI2-AZ-14 FAPI2-AZ-16 a state of 1024 characters comes back unchanged, and a nonce of 64', async () => {
  const [state, nonce] = ['s'.repeat(1024), 'n'.repeat(64)]
  const thirdParty = await rig.thirdParty('tpp-pkjwt-mtls')
  const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
  const started = await thirdParty.start({
    scope: 'openid accounts',
    intent: { consentId, namedBy: 'claims' },
    parameters: { state, nonce },
  })
  const { callback } = await rig.customer(rig.someone()).authorise(started.url)
  assert.equal(callback?.searchParams.get('state'), state)
  const tokens = await thirdParty.redeem({ ...started, state, nonce }, callback ?? started.url)
  assert.equal(tokens.claims()?.nonce, nonce)
})

test('OIDC-08 FAPI2-AS-15 two third parties know one customer by different names, neither of them a client id', async () => {
  const person = rig.someone()
  const one = await shareAccounts(rig, { clientId: 'tpp-pkjwt-dpop', person })
  const other = await shareAccounts(rig, { clientId: 'tpp-tls-mtls', person })
  assert.notEqual(one.tokens.claims()?.sub, other.tokens.claims()?.sub)
  assert.ok(!rig.description.clients.some(({ client_id }) => client_id === one.tokens.claims()?.sub))
})

test('RW-TOK-11 code, tokens and request_uri stay short', async () => {
  const { tokens, callback, started } = await shareAccounts(rig)
  assert.ok((callback.searchParams.get('code') ?? '').length <= 512)
  assert.ok(tokens.access_token.length <= 4096)
  assert.ok(started.url.href.length <= 2048)
})
