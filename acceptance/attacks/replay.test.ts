import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as openid from 'openid-client'
import { type Consented, read, shareAccounts } from '../rig/consented.ts'
import { openRig, type Rig } from '../rig/rig.ts'
import type { Answer } from '../third-party/answer.ts'
import * as forgery from '../third-party/forgery.ts'
import type { StartedAuthorization, ThirdParty } from '../third-party/third-party.ts'
import { aisp, lodgeAccountAccess } from '../third-party/uk-open-banking.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())

const atOnce = 8
const rounds = 3
const times = <Result>(act: (index: number) => Promise<Result>) => Promise.all(Array.from({ length: atOnce }, (_, index) => act(index)))
const winners = (answers: readonly Answer[]) => answers.filter(({ status }) => status < 300)
const errors = (answers: readonly Answer[]) => [
  ...new Set(answers.filter(({ status }) => status >= 300).map((answer) => answer.at('error'))),
]

async function begin(clientId: string): Promise<{ thirdParty: ThirdParty; started: StartedAuthorization }> {
  const thirdParty = await rig.thirdParty(clientId)
  const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
  return { thirdParty, started: await thirdParty.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'claims' } }) }
}

async function redeemByHand(
  thirdParty: ThirdParty,
  started: StartedAuthorization,
  code: string,
  change: Record<string, string> = {},
): Promise<Answer> {
  const form = async () => ({
    ...(await forgery.clientAuthenticationForm(thirdParty)),
    grant_type: 'authorization_code',
    code,
    redirect_uri: started.redirectUri,
    code_verifier: started.codeVerifier,
    ...change,
  })
  const endpoint = forgery.endpointOf(thirdParty, 'token_endpoint')
  if (thirdParty.client.sender_constraint === 'mtls') return await forgery.postForm(thirdParty, endpoint, await form())
  return await forgery.postFormWithProof(thirdParty, endpoint, form)
}

for (const clientId of ['tpp-pkjwt-dpop', 'tpp-tls-mtls']) {
  test(`FAPI2-AZ-09 one code of ${clientId}, redeemed eight times at once: one token, and that one is dead`, async () => {
    for (let round = 0; round < rounds; round++) {
      const { thirdParty, started } = await begin(clientId)
      const { callback } = await rig.customer(rig.someone()).authorise(started.url)
      const answers = await times(() => redeemByHand(thirdParty, started, callback?.searchParams.get('code') ?? ''))
      assert.equal(winners(answers).length, 1, answers.map(({ status, text }) => `${status} ${text.slice(0, 80)}`).join('\n'))
      assert.deepEqual(errors(answers), ['invalid_grant'])
      const token = winners(answers)[0]?.textAt('access_token') ?? ''
      assert.equal((await thirdParty.call(token, 'GET', aisp(thirdParty, '/accounts'))).status, 401)
      const refresh = winners(answers)[0]?.textAt('refresh_token') ?? ''
      await assert.rejects(thirdParty.refresh(refresh), { error: 'invalid_grant' })
    }
  })
}

test('FAPI2-AZ-09 a code redeemed again later kills the tokens of the first', async () => {
  const consented = await shareAccounts(rig)
  assert.equal((await read(consented, '/accounts')).status, 200)
  const again = await redeemByHand(consented.thirdParty, consented.started, consented.callback.searchParams.get('code') ?? '')
  assert.deepEqual([again.status, again.at('error')], [400, 'invalid_grant'])
  assert.equal((await read(consented, '/accounts')).status, 401)
})

test('BCP-11 FAPI2-AZ-05 a code with another verifier, redirect_uri or client is refused', async () => {
  const changes = [{ code_verifier: forgery.pkce().codeVerifier }, { redirect_uri: 'https://localhost/elsewhere' }]
  for (const change of changes) {
    const { thirdParty, started } = await begin('tpp-pkjwt-dpop')
    const { callback } = await rig.customer(rig.someone()).authorise(started.url)
    const answer = await redeemByHand(thirdParty, started, callback?.searchParams.get('code') ?? '', change)
    assert.deepEqual([answer.status, answer.at('error')], [400, 'invalid_grant'], JSON.stringify(change))
  }
  const { started } = await begin('tpp-pkjwt-dpop')
  const { callback } = await rig.customer(rig.someone()).authorise(started.url)
  const other = await redeemByHand(await rig.thirdParty('tpp-tls-dpop'), started, callback?.searchParams.get('code') ?? '')
  assert.deepEqual([other.status, other.at('error')], [400, 'invalid_grant'])
})

test('FAPI2-AS-12 DPOP-08 a code is refused to its own client with another key than the one of the pushed request', async () => {
  const { thirdParty, started } = await begin('tpp-pkjwt-dpop')
  const { callback } = await rig.customer(rig.someone()).authorise(started.url)
  const code = callback?.searchParams.get('code') ?? ''
  const otherKey = { ...thirdParty, proofKeys: await openid.randomDPoPKeyPair('ES256') }
  const refused = await redeemByHand(otherKey, started, code)
  assert.equal(refused.status, 400, refused.text)
  assert.match(refused.textAt('error'), /^(invalid_grant|invalid_dpop_proof)$/)
})

test('FAPI2-AZ-15 one request_uri carried to the end by several customers at once: exactly one gets a code', async () => {
  const { started } = await begin('tpp-pkjwt-dpop')
  const people = rig.description.customers.slice(0, 4)
  const ready = await Promise.all(
    people.map(async (person) => {
      const customer = rig.customer(person)
      let page = await customer.open(started.url)
      while (page.kind !== 'choose_accounts' && page.kind !== 'message') page = await customer.answer(page)
      return { customer, page }
    }),
  )
  assert.ok(ready.every(({ page }) => page.kind === 'choose_accounts'))
  const done = await Promise.all(ready.map(({ customer, page }) => customer.answer(page)))
  const codes = done.filter(({ callback }) => callback?.searchParams.has('code'))
  assert.equal(codes.length, 1, done.map(({ callback, text }) => callback?.search ?? text.slice(0, 100)).join('\n'))
})

test('RFC 7523 one client assertion, presented eight times at once: exactly one is accepted', async () => {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-mtls')
  for (let round = 0; round < rounds; round++) {
    const form = { ...(await forgery.clientAuthenticationForm(thirdParty)), grant_type: 'client_credentials', scope: 'accounts' }
    const answers = await times(() => forgery.postForm(thirdParty, forgery.endpointOf(thirdParty, 'token_endpoint'), form))
    assert.equal(winners(answers).length, 1)
    assert.deepEqual(errors(answers), ['invalid_client'])
  }
})

test('RFC 7523 one client assertion at two endpoints at once: exactly one accepts it', async () => {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-mtls')
  const authentication = await forgery.clientAuthenticationForm(thirdParty)
  const token = { ...authentication, grant_type: 'client_credentials', scope: 'accounts' }
  const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
  const request = {
    ...authentication,
    response_type: 'code',
    scope: 'openid accounts',
    redirect_uri: thirdParty.client.redirect_uris[0] ?? '',
    code_challenge: forgery.pkce().codeChallenge,
    code_challenge_method: 'S256',
    authorization_details: JSON.stringify([{ type: 'openbanking_consent', consent_id: consentId }]),
  }
  const answers = await Promise.all([
    forgery.postForm(thirdParty, forgery.endpointOf(thirdParty, 'token_endpoint'), token),
    forgery.postForm(thirdParty, forgery.endpointOf(thirdParty, 'pushed_authorization_request_endpoint'), request),
  ])
  assert.equal(winners(answers).length, 1, answers.map(({ status, text }) => `${status} ${text}`).join('\n'))
})

test('FAPI2-AS-08 an assertion for the token endpoint, for a list, of another type or too old is refused', async () => {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-mtls')
  const { issuer } = rig.description
  const endpoint = forgery.endpointOf(thirdParty, 'token_endpoint')
  const wrong: forgery.Assertion[] = [
    { audience: [issuer] },
    { audience: endpoint },
    { audience: [issuer, endpoint] },
    { audience: `${issuer}/` },
    { lifetime: '-5m' },
  ]
  for (const assertion of wrong) {
    const form = await forgery.clientAuthenticationForm(thirdParty, await forgery.handmadeAssertion(thirdParty, assertion))
    const answer = await forgery.postForm(thirdParty, endpoint, { ...form, grant_type: 'client_credentials', scope: 'accounts' })
    assert.deepEqual([answer.status, answer.at('error')], [401, 'invalid_client'], JSON.stringify(assertion))
  }
})

async function proofRace(consented: Consented): Promise<Answer[]> {
  const url = aisp(consented.thirdParty, '/accounts')
  const accessToken = consented.tokens.access_token
  const dpop = await forgery.handmadeProof(consented.thirdParty.proofKeys, { htm: 'GET', htu: url, accessToken, jti: randomUUID() })
  return await times(() => forgery.get(consented.thirdParty, url, { authorization: `DPoP ${accessToken}`, dpop }))
}

test('DPOP-03 FAPI2-CR-11 one DPoP proof at the resource, presented eight times at once: exactly one is accepted', async () => {
  const consented = await shareAccounts(rig)
  for (let round = 0; round < rounds; round++) {
    const answers = await proofRace(consented)
    assert.equal(winners(answers).length, 1)
    assert.ok(answers.every(({ status }) => status === 200 || status === 401))
  }
})

test('DPOP-03 one DPoP proof at the token endpoint, presented eight times at once: exactly one is accepted', async () => {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-dpop')
  const endpoint = forgery.endpointOf(thirdParty, 'token_endpoint')
  const form = async () => ({
    ...(await forgery.clientAuthenticationForm(thirdParty)),
    grant_type: 'client_credentials',
    scope: 'accounts',
  })
  const probe = await forgery.postForm(thirdParty, endpoint, await form(), {
    dpop: await forgery.handmadeProof(thirdParty.proofKeys, { htm: 'POST', htu: endpoint }),
  })
  const nonce = probe.headers.get('dpop-nonce') ?? undefined
  const dpop = await forgery.handmadeProof(thirdParty.proofKeys, { htm: 'POST', htu: endpoint, nonce })
  const forms = await times(() => form())
  const answers = await times((index) => forgery.postForm(thirdParty, endpoint, forms[index] ?? {}, { dpop }))
  assert.equal(winners(answers).length, 1, answers.map(({ status, text }) => `${status} ${text.slice(0, 90)}`).join('\n'))
})
