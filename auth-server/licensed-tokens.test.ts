import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { applyRegisterAnswer } from '@bankside/bank/licences/apply-register-answer'
import type { PspRole } from '@bankside/bank/licences/psp-roles'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { issueOddCertificate } from '@bankside/certs/testing/odd-certificate'
import { directoryIssuer } from '@bankside/sandbox/directory/software'
import { transact } from '@bankside/service-kit/postgres'
import { KeyUsageFlags } from '@peculiar/x509'
import { Applicant, ownToken } from './testing/applicant.ts'
import { authoriseAccounts, authorisedTokens, refusal } from './testing/authorise.ts'
import { enterCustomer, type TestCustomer } from './testing/bank-fixtures.ts'
import { TestDirectory } from './testing/test-directory.ts'
import { startTestServer, type TestServerInside } from './testing/test-server.ts'
import type { ThirdParty } from './testing/third-party.ts'

let server: TestServerInside
let directory: TestDirectory
let acorn: Applicant
let other: Applicant
let client: ThirdParty
let customer: TestCustomer

before(async () => {
  server = await startTestServer({
    settings: async (authority) => {
      directory = await TestDirectory.start(authority)
      return directory.settings()
    },
  })
  ;[acorn, other] = [await Applicant.enrol(server, directory, 'Acorn'), await Applicant.enrol(server, directory, 'Other')]
  client = await acorn.asClient((await acorn.register()).json['client_id'])
  customer = await enterCustomer(server, 'lia')
})
after(async () => {
  await server.stop()
  directory.stop()
})

const now = new Date()
const certificate = (roles: readonly ('PSP_AI' | 'PSP_PI' | 'PSP_AS')[]) =>
  issueTransportCertificate(server.authority, { organisation: { ...acorn.software.organisation, roles }, keyKind: 'ec', now })
const over = (credential: ThirdParty['credential']) => Object.assign(Object.create(client) as ThirdParty, { credential })
const cc = (scope: string) => ({ grant_type: 'client_credentials', scope })

test('CERT-07 a token is for what the certificate at hand is licensed for, whatever was registered with another', async () => {
  const [accounts, payments] = [over(await certificate(['PSP_AI'])), over(await certificate(['PSP_PI']))]
  assert.equal((await accounts.token(cc('accounts'))).status, 200)
  assert.equal(refusal(await accounts.token(cc('payments'))), '400 invalid_scope')
  assert.equal(refusal(await accounts.token(cc('accounts payments'))), '400 invalid_scope')
  assert.equal((await payments.token(cc('payments'))).status, 200)
  assert.equal(refusal(await payments.token(cc('accounts'))), '400 invalid_scope')
  assert.equal(refusal(await over(await certificate(['PSP_AS'])).token(cc('accounts'))), '400 invalid_scope')
})

test('CERT-07 neither is a customer’s code or refresh token worth more than the licence', async () => {
  const payments = over(await certificate(['PSP_PI']))
  const { code } = await authoriseAccounts(client, customer)
  assert.equal(refusal(await payments.redeem(code)), '400 invalid_scope')
  const again = await authoriseAccounts(client, customer)
  const tokens = await client.redeem(again.code)
  assert.equal(tokens.status, 200, tokens.text)
  assert.equal(refusal(await payments.refresh(String(tokens.json['refresh_token']))), '400 invalid_scope')
  assert.equal((await client.refresh(String(tokens.json['refresh_token']))).status, 200)
})

test('CERT-06 CERT-12 no token is got over the certificate of another organisation, though it is a trusted one', async () => {
  assert.equal(refusal(await over(other.credential).token(cc('accounts'))), '401 invalid_client')
})

test('CERT-05 no token is got over a seal', async () => {
  const { organisation } = acorn.software
  const subject = [{ C: ['GB'] }, { O: [organisation.name] }, { '2.5.4.97': [organisation.identifier] }, { CN: [organisation.directoryId] }]
  const keyUsages = KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation
  assert.equal(
    refusal(await over(await issueOddCertificate(server.authority, { subject, keyUsages }, now)).token(cc('accounts'))),
    '401 invalid_client',
  )
})

test('MTLS-06 a renewed certificate of the same organisation gets tokens, bound to it', async () => {
  const renewed = over(await certificate(['PSP_AI', 'PSP_PI']))
  assert.equal((await renewed.token(cc('accounts payments'))).status, 200)
})

/** What the worker was answered by the register, kept as it keeps it. */
async function registerSays(of: Applicant, active: boolean, roles: readonly PspRole[]): Promise<void> {
  const organisation = { directory: directoryIssuer, organisationId: of.software.organisation.directoryId }
  const answered = { ...organisation, answer: { active, roles: new Set(roles) }, now: new Date(), nextAt: new Date() }
  await transact(server.owner, (tx) => applyRegisterAnswer(tx, answered))
}

test('CERT-08 a role that the register takes away opens nothing: no request, no token, no refreshed one; what is left goes on', async () => {
  const third = await Applicant.enrol(server, directory, 'Third')
  const { json } = await third.register()
  const thirdParty = await third.asClient(json['client_id'])
  const { tokens } = await authorisedTokens(thirdParty, customer)
  const { code } = await authoriseAccounts(thirdParty, customer)
  await registerSays(third, true, ['PSP_PI'])
  assert.equal(refusal(await thirdParty.token(cc('accounts'))), '400 invalid_scope')
  assert.equal(refusal(await thirdParty.token(cc('accounts payments'))), '400 invalid_scope')
  assert.equal((await thirdParty.token(cc('payments'))).status, 200)
  assert.equal(refusal(await thirdParty.refresh(String(tokens.json['refresh_token']))), '400 invalid_scope')
  assert.equal(refusal(await thirdParty.redeem(code)), '400 invalid_scope')
  assert.equal(refusal(await thirdParty.push({ scope: 'openid accounts' })), '400 invalid_scope')

  const replaced = await third.manage('PUT', json['client_id'], { body: await third.request() })
  assert.equal(refusal(replaced), '400 unapproved_software_statement')
  await registerSays(third, true, ['PSP_AI', 'PSP_PI'])
  assert.equal((await thirdParty.refresh(String(tokens.json['refresh_token']))).status, 200)
})

test('CERT-08 an organisation that the register has withdrawn gets no token and manages no registration, until it is active again; nor does it register another software', async () => {
  const fourth = await Applicant.enrol(server, directory, 'Fourth')
  const { json } = await fourth.register()
  const thirdParty = await fourth.asClient(json['client_id'])
  const own = await ownToken(thirdParty)
  await registerSays(fourth, false, ['PSP_AI', 'PSP_PI'])
  assert.equal(refusal(await thirdParty.token(cc('accounts'))), '401 invalid_client')
  assert.equal((await fourth.manage('GET', json['client_id'], { token: own })).status, 401)
  const another = { software_id: 'another1', software_jwks_endpoint: `${directory.origin}/software/${fourth.software.softwareId}/jwks` }
  const claims = {
    ...{ iss: 'another1', software_id: 'another1' },
    software_statement: await directory.statement(fourth.software, { claims: another }),
  }
  assert.equal(refusal(await fourth.register({ claims })), '400 unapproved_software_statement')
  await registerSays(fourth, true, ['PSP_AI', 'PSP_PI'])
  assert.equal((await thirdParty.token(cc('accounts'))).status, 200)
  assert.equal(
    (await fourth.register({ claims: { ...claims, software_statement: await directory.statement(fourth.software, { claims: another }) } }))
      .status,
    201,
  )
})
