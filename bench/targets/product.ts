import { createHash, createPrivateKey, generateKeyPairSync, type JsonWebKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { type Algorithm, proofKey } from '../load/signing.ts'
import { type SandboxDescription, startSandbox } from '../processes/sandbox-process.ts'
import type { Stopping } from '../processes/stopping.ts'
import { mintAccessToken } from './access-token.ts'
import { cloneClients } from './clone-clients.ts'
import { type Cloning, cloneConsents } from './clone-consents.ts'
import { lodgeTemplates } from './lodge-templates.ts'
import { readBooks } from './product-books.ts'
import { type CertificateClient, type Confirmation, type ProofClient, payingAccounts, type Target } from './target.ts'
import { untilNone } from './until-none.ts'

export type Product = { readonly target: Target; readonly adminUrl: string }

const acr = 'urn:openbanking:psd2:sca'
/** Enough that no hold of a run finds an account empty: payments are of one penny. */
const leastFundsMinor = 50_000

/** So many accounts pay, each only so many of the others. */
export type Paying = { readonly accounts: number; readonly payeesOfEach: number }

const eachOther: Paying = { accounts: payingAccounts, payeesOfEach: payingAccounts - 1 }

/** The product as `npm start` runs it, and what its operations need, put in place through its own API and its database. */
export async function startProductTarget(
  customers: number,
  stopping: Stopping,
  { postgres, paying = eachOther }: { readonly postgres?: Readonly<Record<string, string>> | undefined; readonly paying?: Paying } = {},
): Promise<Product> {
  const { adminUrl, description, pids } = await startSandbox(customers, stopping, postgres)
  const databaseName = await databaseOf(adminUrl)
  const url = new URL(adminUrl)
  url.pathname = `/${databaseName}`
  const db = new pg.Client(url.href)
  await db.connect()
  stopping.push(() => db.end())
  return { target: await describe(description, db, { pids, databaseName }, paying), adminUrl }
}

/** The database that the server processes are connected to. */
async function databaseOf(adminUrl: string): Promise<string> {
  const admin = new pg.Client(adminUrl)
  await admin.connect()
  try {
    const { rows } = await admin.query(`select distinct datname from pg_stat_activity where usename = 'bankside_resource_api'`)
    if (rows.length !== 1) throw new Error(`the resource API is connected to ${rows.length} databases`)
    return rows[0].datname
  } finally {
    await admin.end()
  }
}

async function describe(
  sandbox: SandboxDescription,
  db: pg.Client,
  runs: Pick<Target, 'pids' | 'databaseName'>,
  paying: Paying,
): Promise<Target> {
  const { issuer, resource_api: resourceApi } = sandbox
  const base = { issuer, resourceApi, ca: [readFileSync(sandbox.ca_file, 'utf8')], client: await proofClient(sandbox, db, 'third party') }
  const { rows: debtors } = await db.query<{ account_id: string; identification: string }>(
    `select account_id, sort_code || account_number as identification from ledger.account
     where kind = 'customer' and currency = 'GBP' and type_code = 'CACC' and status = 'open' and posted_minor - held_minor >= $1
       and sort_code is not null order by account_id limit $2`,
    [leastFundsMinor, paying.accounts],
  )
  const templates = await lodgeTemplates(base, debtors)
  const signing = signingKey(sandbox)
  const token = (given: Cloning, scope: string, cnf: Confirmation) =>
    mintAccessToken(signing, {
      iss: issuer,
      aud: sandbox.audiences.uk_open_banking,
      sub: `psu:${given.grantId}`,
      client_id: given.clientId,
      scope,
      grant_id: given.grantId,
      consent_id: given.consentId,
      acr,
      cnf,
    })
  const authoriseReaders: Target['authoriseReaders'] = async (count, clientId, cnf) => {
    const { rows } = await db.query<{ account_id: string }>(
      `select distinct on (customer_id) account_id from ledger.account where kind = 'customer' and status = 'open' order by customer_id, account_id limit $1`,
      [count],
    )
    const wanted = rows.map(({ account_id }) => ({ template: templates.accountAccess, account: account_id, clientId }))
    const given = await cloneConsents(db, 'authorised', wanted)
    return given.map((clone) => ({ accessToken: token(clone, 'openid accounts', cnf), accountId: clone.account }))
  }
  const booksBefore = await readBooks(db)
  return {
    name: 'product',
    ...base,
    ...runs,
    app: { client: await proofClient(sandbox, db, 'own app'), scope: 'openid accounts:read' },
    certificateClient: certificateClient(sandbox),
    customers: sandbox.customers.map(({ username, password, totp_secret }) => ({ username, password, totpSecret: totp_secret })),
    introspector: introspector(sandbox),
    introspectionPath: '/introspection',
    registerClients: (count) => cloneClients(db, base.client, count),
    lodgeConsents: async (count) =>
      (await cloneConsents(db, 'awaiting', Array(count).fill({ template: templates.accountAccess }))).map(({ consentId }) => consentId),
    authoriseReaders,
    authorisePayments: async (count, clientId, cnf) => {
      const payees = Math.min(paying.payeesOfEach, debtors.length - 1)
      const wanted = Array.from({ length: count }, () => {
        const payer = anyBelow(debtors.length)
        const payment = templates.payments[(payer + 1 + anyBelow(payees)) % debtors.length] ?? neverEmpty()
        return { template: payment.consentId, account: (debtors[payer] ?? neverEmpty()).account_id, clientId }
      })
      const given = await cloneConsents(db, 'authorised', wanted)
      return given.map((clone) => ({
        accessToken: token(clone, 'openid payments', cnf),
        body: { Data: { ConsentId: clone.consentId, Initiation: clone.request.Data.Initiation }, Risk: clone.request.Risk },
      }))
    },
    settlePayments: () => untilNone(db, `payments that wait to be posted`, `select count(*) from payments.payment where status = 'held'`),
    comeToRest: () =>
      untilNone(db, `events that wait to be delivered`, `select count(*) from events.event where next_attempt_at is not null`),
    checkBooks: async (payments) => {
      const books = await readBooks(db)
      const posted = books.posted - booksBefore.posted
      if (posted !== payments || books.notPosted !== booksBefore.notPosted || books.difference !== 0 || books.wrongAccounts !== 0)
        throw new Error(
          `the books of the product do not balance: ${JSON.stringify(books)}, expected ${payments} new payments, found ${posted}`,
        )
    },
  }
}

const neverEmpty = (): never => {
  throw new Error('the sandbox has no two accounts to pay between')
}

const anyBelow = (count: number): number => Math.floor(Math.random() * count)

async function proofClient({ clients }: SandboxDescription, db: pg.Client, kind: 'third party' | 'own app'): Promise<ProofClient> {
  const client = clients.find(
    (one) =>
      one.first_party === (kind === 'own app') && one.token_endpoint_auth_method === 'private_key_jwt' && one.sender_constraint === 'dpop',
  )
  if (client?.jwks_file == null) throw new Error(`the sandbox has no ${kind} with private_key_jwt and DPoP`)
  const { rows } = await db.query(
    `select metadata ->> 'token_endpoint_auth_signing_alg' as algorithm from clients.client where client_id = $1`,
    [client.client_id],
  )
  const algorithm: Algorithm = rows[0]?.algorithm === 'PS256' ? 'PS256' : 'ES256'
  const key = keyOf(client.jwks_file, algorithm)
  return {
    clientId: client.client_id,
    redirectUri: client.redirect_uris[0] ?? '',
    key: { algorithm, kid: key.kid ?? '', privateKey: createPrivateKey({ key, format: 'jwk' }) },
    proofKey: proofKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
  }
}

/** Another API of the bank, that asks the authorization server about tokens. */
function introspector({ clients }: SandboxDescription): Target['introspector'] {
  const client = clients.find(
    ({ profile, token_endpoint_auth_method: method }) => profile === 'resource_server' && method === 'private_key_jwt',
  )
  if (client?.jwks_file == null) throw new Error('the sandbox has no resource server with private_key_jwt')
  const key = keyOf(client.jwks_file, 'ES256')
  return {
    clientId: client.client_id,
    key: { algorithm: 'ES256', kid: key.kid ?? '', privateKey: createPrivateKey({ key, format: 'jwk' }) },
  }
}

function certificateClient({ clients }: SandboxDescription): CertificateClient {
  const client = clients.find((one) => !one.first_party && one.sender_constraint === 'mtls')
  if (client?.cert_file == null || client.key_file === null) throw new Error('the sandbox has no client with certificate-bound tokens')
  const cert = readFileSync(client.cert_file, 'utf8')
  const thumbprint = createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url')
  return { clientId: client.client_id, cert, key: readFileSync(client.key_file, 'utf8'), thumbprint }
}

/** The sandbox's own signing key: what signs its access tokens. */
function signingKey({ ca_file }: SandboxDescription): Parameters<typeof mintAccessToken>[0] {
  const key = keyOf(path.join(path.dirname(ca_file), 'signing-keys.json'), 'ES256')
  return { algorithm: 'ES256', kid: key.kid ?? '', privateKey: createPrivateKey({ key, format: 'jwk' }) }
}

type NamedKey = JsonWebKey & { readonly kid?: string; readonly alg?: string }

function keyOf(file: string, algorithm: string): NamedKey {
  const { keys } = JSON.parse(readFileSync(file, 'utf8')) as { readonly keys: readonly NamedKey[] }
  const key = keys.find(({ alg }) => alg === algorithm)
  if (key === undefined) throw new Error(`${file} has no key for ${algorithm}`)
  return key
}
