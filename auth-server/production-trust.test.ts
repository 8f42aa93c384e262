import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { issueOddCertificate } from '@bankside/certs/testing/odd-certificate'
import { readConfig } from '@bankside/service-kit/config'
import { z } from 'zod'
import { directories } from './registration/directory.ts'
import { Applicant } from './testing/applicant.ts'
import { refusal } from './testing/authorise.ts'
import { TestDirectory } from './testing/test-directory.ts'
import { startTestServer, type TestServerInside } from './testing/test-server.ts'

const realDirectory = 'OpenBanking Ltd'
let server: TestServerInside
let directory: TestDirectory
let acorn: Applicant

/** As a bank would configure it: a live directory, real authorities. Here its keys are the test's, so that each check is met alone. */
before(async () => {
  server = await startTestServer({
    settings: async (authority) => {
      directory = await TestDirectory.start(authority)
      return directory.settings({ issuer: realDirectory, environment: 'live', authorities: { FCAGBR: 'GB-FCA' } })
    },
  })
  acorn = await Applicant.enrol(server, directory, 'Acorn')
})
after(async () => {
  await server.stop()
  directory.stop()
})

const number = () => acorn.software.organisation.identifier.split('-')[2] ?? ''
const live = () => ({
  iss: realDirectory,
  software_mode: 'Live',
  software_environment: 'production',
  organisation_competent_authority_claims: {
    authority_id: 'FCAGBR',
    registration_id: number(),
    status: 'Active',
    authorisations: [{ member_state: 'GB', roles: ['AISP', 'PISP'] }],
  },
})
const licence = { roles: ['PSP_AI', 'PSP_PI'], authorityName: 'Financial Conduct Authority', authorityId: 'GB-FCA' } as const
const subject = (identifier: string) => [
  { C: ['GB'] },
  { O: ['Acorn Ltd'] },
  { '2.5.4.97': [identifier] },
  { CN: [acorn.software.organisation.directoryId] },
]
const real = (oddity: object = {}) =>
  issueOddCertificate(server.authority, { subject: subject(`PSDGB-FCA-${number()}`), licence, ...oddity }, new Date())
const statement = (claims: object = {}) => directory.statement(acorn.software, { claims: { ...live(), ...claims } })

test('SBX-03 what the sandbox issues is worth nothing to a production configuration', async () => {
  const good = await statement()
  const cases: [string, Awaited<ReturnType<typeof real>>, string, string][] = [
    ['a statement of the sandbox’s directory', await real(), await directory.statement(acorn.software), '400 invalid_software_statement'],
    ['a software for tests', await real(), await statement({ software_mode: 'Test' }), '400 unapproved_software_statement'],
    ['a sandbox environment', await real(), await statement({ software_environment: 'sandbox' }), '400 unapproved_software_statement'],
    ['an authority for tests', acorn.credential, good, '401 invalid_client'],
    [
      'a country that is none',
      await real({ subject: subject(`PSDXX-NCA-${number()}`), licence: { ...licence, authorityId: 'XX-NCA' } }),
      good,
      '401 invalid_client',
    ],
    ['the policy of the sandbox', await real({ policies: ['1.3.6.1.4.1.32473.1.1'] }), good, '401 invalid_client'],
    ['a licence of an authority for tests', await real({ licence: { ...licence, authorityId: 'GB-TEST' } }), good, '401 invalid_client'],
  ]
  for (const [what, credential, software_statement, expected] of cases)
    assert.equal(refusal(await acorn.register({ credential, claims: { software_statement } })), expected, what)
})

test('SBX-03 UKDCR-04 a redirect to localhost is for third parties of a sandbox', async () => {
  const local = await Applicant.enrol(server, directory, 'Local', { redirectUris: ['https://localhost:4438/callback'] })
  const credential = await issueOddCertificate(
    server.authority,
    { subject: [{ C: ['GB'] }, { O: ['x'] }, { '2.5.4.97': ['PSDGB-OB-Unknown1'] }, { CN: [local.software.organisation.directoryId] }] },
    new Date(),
  )
  const software_statement = await directory.statement(local.software, { claims: live() })
  assert.equal(refusal(await local.register({ credential, claims: { software_statement } })), '400 invalid_redirect_uri')
})

test('SBX-02 with the trust anchors of production, the same formats register', async () => {
  const answer = await acorn.register({ credential: await real(), claims: { software_statement: await statement() } })
  assert.equal(answer.status, 201, answer.text)
})

const key = { kty: 'EC', kid: 'a', crv: 'P-256', x: 'x', y: 'y' }
const base = { issuer: 'A', environment: 'live', jwks: { keys: [key] }, key_hosts: ['keys.example'], authorities: { FCAGBR: 'GB-FCA' } }
const readDirectories = (value: unknown) =>
  readConfig(
    z.object({
      DIRECTORIES: z
        .string()
        .transform((text) => JSON.parse(text) as unknown)
        .pipe(directories),
    }),
    { DIRECTORIES: JSON.stringify(value) },
  )

const wrongAnchors: readonly (readonly [string, unknown, RegExp])[] = [
  ['live and test beside each other', [base, { ...base, issuer: 'B', environment: 'test' }], /mix/],
  ['an authority for tests in a live one', [{ ...base, authorities: { TESTGBR: 'GB-TEST' } }], /tests/],
  ['one issuer twice', [base, base], /twice/],
  ['no keys', [{ ...base, jwks: undefined }], /jwks/],
  ['a private key', [{ ...base, jwks: { keys: [{ ...key, d: 'x' }] } }], /public/],
  ['keys without TLS', [{ ...base, jwks: undefined, jwks_uri: 'http://keys.example' }], /https/],
  ['nowhere for keys', [{ ...base, key_hosts: [] }], /key_hosts|Too small|>=1/],
  ['a member that nobody reads', [{ ...base, trusted: true }], /trusted|nrecognized/],
]
for (const [what, value, problem] of wrongAnchors)
  test(`SBX-03 a configuration with ${what} is refused at the start`, () => assert.throws(() => readDirectories(value), problem))

test('SSA-02 where a directory’s statements are for one registration, each is', async () => {
  const own: { directory?: TestDirectory } = {}
  const strict = await startTestServer({
    settings: async (authority) => {
      own.directory = await TestDirectory.start(authority)
      return own.directory.settings({ single_use_statements: true })
    },
  })
  try {
    const applicant = await Applicant.enrol(strict, own.directory ?? assert.fail(), 'Once')
    const software_statement = await applicant.directory.statement(applicant.software)
    const answer = await applicant.register({ claims: { software_statement } })
    assert.equal(answer.status, 201, answer.text)
    assert.equal((await applicant.manage('DELETE', answer.json['client_id'])).status, 204)
    assert.equal(refusal(await applicant.register({ claims: { software_statement } })), '400 invalid_software_statement')
    assert.equal((await applicant.register()).status, 201)
  } finally {
    await strict.stop()
    own.directory?.stop()
  }
})
