/** From nothing to a consented read: a new third party, its registration, and the bank that blocks it and lets it go on. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'
import * as oauth from 'oauth4webapi'
import { command } from '../rig/command.ts'
import { authorise, type Consented, read } from '../rig/consented.ts'
import { oauthError } from '../rig/oauth-error.ts'
import { openRig, type Rig } from '../rig/rig.ts'
import type { DemoClient } from '../sandbox/description.ts'
import { httpsFetch } from '../third-party/https-fetch.ts'
import { openThirdParty, type ThirdParty } from '../third-party/third-party.ts'
import { lodgeAccountAccess } from '../third-party/uk-open-banking.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())

type Enrolled = {
  readonly software_id: string
  readonly redirect_uris: readonly string[]
  readonly jwks_file: string
  readonly cert_file: string
  readonly key_file: string
  readonly statement_file: string
  readonly statement_uri: string
  readonly registration_endpoint: string
  readonly audience: string
}

const thirdPartyCommand = (...args: string[]) => command(rig.sandbox, 'sandbox/third-party.ts', ...args)
const clientCommand = (...args: string[]) => command(rig.sandbox, 'auth-server/client-command.ts', ...args)

async function enrol(name: string, ...args: string[]): Promise<Enrolled> {
  const { code, said, complained } = await thirdPartyCommand('new', name, ...args)
  assert.equal(code, 0, complained)
  return JSON.parse(said) as Enrolled
}

/** UK dynamic client registration by hand, as a third party's own program does it. */
async function registerByHand(enrolled: Enrolled, changes: Readonly<Record<string, unknown>> = {}) {
  const { keys } = JSON.parse(readFileSync(enrolled.jwks_file, 'utf8')) as { keys: JWK[] }
  const key = keys.find(({ alg }) => alg === 'PS256') ?? assert.fail('a key')
  const now = Math.floor(Date.now() / 1000)
  const request = await new SignJWT({
    iss: enrolled.software_id,
    aud: enrolled.audience,
    jti: randomUUID(),
    iat: now,
    exp: now + 300,
    software_statement: readFileSync(enrolled.statement_file, 'utf8').trim(),
    redirect_uris: enrolled.redirect_uris,
    token_endpoint_auth_method: 'private_key_jwt',
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: ['code'],
    application_type: 'web',
    id_token_signed_response_alg: 'PS256',
    request_object_signing_alg: 'PS256',
    scope: 'openid accounts',
    ...changes,
  })
    .setProtectedHeader({ alg: 'PS256', typ: 'JWT', kid: key.kid ?? '' })
    .sign(await importJWK(key, 'PS256'))
  const fetch = fetchOf(enrolled)
  const response = await fetch(enrolled.registration_endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/jwt' },
    body: request,
  })
  return { status: response.status, json: (await response.json()) as Record<string, unknown> }
}

const fetchOf = ({ cert_file: certFile, key_file: keyFile }: Pick<Enrolled, 'cert_file' | 'key_file'>) =>
  httpsFetch({ caFile: rig.description.ca_file, certFile, keyFile })

const asClient = (client: DemoClient): Promise<ThirdParty> =>
  openThirdParty({ ...rig.description, clients: [...rig.description.clients, client] }, client.client_id)

function described(enrolled: Enrolled, clientId: unknown): DemoClient {
  return {
    ...enrolled,
    client_id: String(clientId),
    profile: 'fapi2_sp',
    token_endpoint_auth_method: 'private_key_jwt',
    sender_constraint: 'mtls',
    scopes: ['openid', 'accounts'],
    first_party: false,
  }
}

async function consentedRead(thirdParty: ThirdParty): Promise<Consented> {
  const lodged = await lodgeAccountAccess(thirdParty)
  assert.equal(lodged.status, 201, lodged.text)
  const intent = { consentId: lodged.textAt('Data.ConsentId'), scope: 'openid accounts' }
  const consented = await authorise(rig, thirdParty, rig.someone(), intent)
  const answer = await read(consented, '/accounts')
  assert.equal(answer.status, 200, answer.text)
  return consented
}

test('SBX-01 SBX-02 UKDCR-01 UKDCR-13 DCR-002 a new third party gets certificate, keys and statement with one command, registers itself, and reads with consent', async () => {
  const enrolled = await enrol('My Fintech')
  for (const file of [enrolled.jwks_file, enrolled.key_file, enrolled.cert_file, enrolled.statement_file])
    assert.equal(statSync(file).mode & 0o077, 0, file)
  const { status, json } = await registerByHand(enrolled)
  assert.equal(status, 201, JSON.stringify(json))
  const consented = await consentedRead(await asClient(described(enrolled, json['client_id'])))
  assert.ok(
    consented.screens.some(({ text }) => text.includes('My Fintech')),
    'customers see its name',
  )
  const again = await registerByHand(enrolled)
  assert.deepEqual([again.status, again.json['error']], [400, 'invalid_client_metadata'])
})

test('UKDCR-07 CERT-07 a third party that sees accounts only registers with a command, and cannot ask for payments', async () => {
  const enrolled = await enrol('Only Accounts', '--roles', 'AISP')
  const refused = await registerByHand(enrolled, { scope: 'openid payments' })
  assert.deepEqual([refused.status, refused.json['error']], [400, 'invalid_client_metadata'])
  const { code, said, complained } = await thirdPartyCommand('register', 'only-accounts')
  assert.equal(code, 0, complained)
  const client = JSON.parse(said) as DemoClient
  const thirdParty = await asClient(client)
  await consentedRead(thirdParty)
  assert.equal(await oauthError(thirdParty.clientCredentials('payments')), 'invalid_scope')
  assert.ok(path.isAbsolute(String(client.cert_file)))
})

test('CERT-12 SSA-04 the statement of one third party over the certificate of another is refused', async () => {
  const [one, other] = [await enrol('One'), await enrol('Two')]
  const { status, json } = await registerByHand({ ...one, cert_file: other.cert_file, key_file: other.key_file })
  assert.deepEqual([status, json['error']], [400, 'invalid_software_statement'])
})

test('DCR-01 DCR-05 FAPI2-AS-03 a program registers with oauth4webapi and a token of the bank, reads with consent, and is gone after DELETE', async () => {
  const issued = await clientCommand('token', '--for', 'Acceptance', '--scope', 'openid accounts')
  assert.equal(issued.code, 0, issued.complained)
  const { issuer, ca_file: caFile } = rig.description
  const fetch = httpsFetch({ caFile })
  const options = { [oauth.customFetch]: fetch as never }
  const server = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), options))
  const keys = await generateKeyPair('ES256', { extractable: true })
  const publicKey = { ...(await exportJWK(keys.publicKey)), kid: 'mine', alg: 'ES256', use: 'sig' }
  const redirectUri = 'https://program.example/callback'
  const metadata = {
    client_name: 'A program',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: ['code'],
    token_endpoint_auth_method: 'private_key_jwt',
    dpop_bound_access_tokens: true,
    scope: 'openid accounts',
    jwks: { keys: [publicKey] },
  }
  const request = () => oauth.dynamicClientRegistrationRequest(server, metadata as never, { ...options, initialAccessToken: issued.said })
  const client = await oauth.processDynamicClientRegistrationResponse(await request())
  assert.deepEqual((client as Record<string, unknown>)['redirect_uris'], [redirectUri])
  assert.equal((await request()).status, 401, 'the token was for one')

  const jwksFile = path.join(rig.sandbox.home, 'program-jwks.json')
  writeFileSync(jwksFile, JSON.stringify({ keys: [{ ...(await exportJWK(keys.privateKey)), kid: 'mine', alg: 'ES256', use: 'sig' }] }))
  const thirdParty = await asClient({
    client_id: client.client_id,
    profile: 'fapi2_sp',
    token_endpoint_auth_method: 'private_key_jwt',
    sender_constraint: 'dpop',
    redirect_uris: [redirectUri],
    jwks_file: jwksFile,
    cert_file: null,
    key_file: null,
    scopes: ['openid', 'accounts'],
    first_party: false,
  })
  const consented = await consentedRead(thirdParty)
  const headers = { authorization: `Bearer ${client['registration_access_token']}` }
  assert.equal((await fetch(String(client['registration_client_uri']), { method: 'DELETE', headers })).status, 204)
  assert.equal((await read(consented, '/accounts')).status, 401)
  assert.equal(await oauthError(thirdParty.refresh(consented.tokens.refresh_token ?? '')), 'invalid_client')
})

test('RW-ST-04 CERT-08 DB-02 a client that is blocked by one command is refused by both servers with the very next call, its customers see it, and it goes on when it is let in again', async () => {
  const enrolled = await enrol('Blocked One')
  const { json } = await registerByHand(enrolled)
  const clientId = String(json['client_id'])
  const thirdParty = await asClient(described(enrolled, clientId))
  const consented = await consentedRead(thirdParty)
  const lodged = await lodgeAccountAccess(thirdParty)
  const pending = await thirdParty.start({
    scope: 'openid accounts',
    intent: { consentId: lodged.textAt('Data.ConsentId'), namedBy: 'claims' },
  })

  assert.match((await clientCommand('block', clientId)).said, /is blocked/)
  assert.ok([401, 403].includes((await read(consented, '/accounts')).status))
  assert.equal(await oauthError(thirdParty.refresh(consented.tokens.refresh_token ?? '')), 'invalid_client')
  assert.equal(await oauthError(thirdParty.clientCredentials('accounts')), 'invalid_client')
  const { callback } = await rig.customer(consented.person).authorise(pending.url)
  assert.equal(callback?.searchParams.get('code') ?? null, null, 'a request that was pushed before leads to no code')
  assert.match((await clientCommand('list', 'Blocked')).said, /blocked .*by statement/)

  const customer = rig.customer(consented.person)
  let page = await customer.open(`${rig.description.issuer}/connected-accounts`)
  for (let screen = 0; screen < 3 && ['sign_in', 'second_factor'].includes(page.kind); screen++) page = await customer.answer(page)
  assert.match(page.text, /Paused.*Blocked One|Blocked One.*Paused/s)
  assert.match(page.text, /We have blocked Blocked One for now/)

  assert.match((await clientCommand('unblock', clientId)).said, /is active/)
  assert.equal((await read(consented, '/accounts')).status, 200)
  assert.ok((await thirdParty.refresh(consented.tokens.refresh_token ?? '')).access_token)
  assert.match((await clientCommand('block', 'nobody-at-all')).complained, /There is no client/)
})

test('CERT-08 DB-02 a third party whose organisation loses its authorisation is refused as soon as the register is asked, for good', async () => {
  const enrolled = await enrol('Withdrawn One')
  const { json } = await registerByHand(enrolled, { scope: 'openid accounts payments' })
  const clientId = String(json['client_id'])
  const thirdParty = await asClient(described(enrolled, clientId))
  const consented = await consentedRead(thirdParty)

  assert.equal((await thirdPartyCommand('status', 'withdrawn-one', 'Active', '--roles', 'PISP')).code, 0)
  assert.match((await clientCommand('check', clientId)).said, /active PSP_PI, now/)
  assert.equal((await read(consented, '/accounts')).status, 403)
  assert.equal(await oauthError(thirdParty.clientCredentials('accounts')), 'invalid_scope')
  assert.ok((await thirdParty.clientCredentials('payments')).access_token)

  await thirdPartyCommand('status', 'withdrawn-one', 'Withdrawn')
  assert.match((await clientCommand('check', clientId)).said, /withdrawn.*, now/)
  assert.equal((await read(consented, '/accounts')).status, 401)
  assert.equal(await oauthError(thirdParty.refresh(consented.tokens.refresh_token ?? '')), 'invalid_client')
  assert.match((await clientCommand('unblock', clientId)).complained, /withdrawn in its register/)
  const customer = rig.customer(consented.person)
  let page = await customer.open(`${rig.description.issuer}/connected-accounts`)
  for (let screen = 0; screen < 3 && ['sign_in', 'second_factor'].includes(page.kind); screen++) page = await customer.answer(page)
  assert.match(page.text, /No company can see your accounts.*Ended.*Withdrawn One/s)
})

test('the commands say what they need', async () => {
  assert.match((await thirdPartyCommand()).complained, /npm run third-party -- new/)
  assert.match((await thirdPartyCommand('new', 'My Fintech')).complained, /already/)
  assert.match((await thirdPartyCommand('register', 'nobody')).complained, /no third party/)
  assert.match((await clientCommand()).complained, /npm run client -- list/)
  assert.match((await clientCommand('token', '--for', 'x', '--scope', 'payments:write')).complained, /may have/)
})
