import { generateKeyPairSync, type JsonWebKey, type KeyObject, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { freePorts } from '@bankside/service-kit/free-ports'
import pg from 'pg'
import { type Algorithm, proofKey } from '../load/signing.ts'
import type { PeerCertificates } from '../peers/certificates.ts'
import { startPeer } from '../processes/peer-process.ts'
import type { Stopping } from '../processes/stopping.ts'
import { mintAccessToken } from './access-token.ts'
import { type Confirmation, type Customer, type ProofClient, payingAccounts, type Target } from './target.ts'

export type PeerSettings = {
  readonly name: string
  /** The server's own connection, as owner. The peer gets a database of its own there. */
  readonly adminUrl: string
  readonly certificates: PeerCertificates
  /** How many customers, with how many accounts each: as many as the product has. */
  readonly customers: number
  /** What the client signs its assertions with: the same as the product's. */
  readonly clientAlgorithm: Algorithm
}

const accountsPerCustomer = 3
const openingMinor = 1_000_000
const acr = 'urn:openbanking:psd2:sca'
const clientId = 'bench-client'
const appId = 'bench-app'
const resourceServerId = 'bench-resource-server'
const redirectUri = 'https://localhost:1/callback'
const permissions = ['ReadAccountsDetail', 'ReadBalances', 'ReadTransactionsCredits', 'ReadTransactionsDebits', 'ReadTransactionsDetail']

export async function startPeerTarget(settings: PeerSettings, stopping: Stopping): Promise<Target> {
  const { certificates, customers: customerCount } = settings
  const databaseName = `bench_peer_${randomBytes(4).toString('hex')}`
  const databaseUrl = await createDatabase(settings.adminUrl, databaseName)
  stopping.push(() => dropDatabase(settings.adminUrl, databaseName))
  const db = new pg.Client(databaseUrl)
  await db.connect()
  stopping.push(() => db.end())
  const signing = createKey('PS256', 'peer')
  const client = createKey(settings.clientAlgorithm, 'client')
  await fill(db, customerCount, client.publicJwk, settings.clientAlgorithm)
  const port = await freePorts(2)
  const issuer = `https://localhost:${port}`
  const resourceApi = `https://localhost:${port + 1}`
  const audience = `${resourceApi}/open-banking`
  const tls = { certificates: certificates.server, clientCa: certificates.ca }
  const shared = { issuer, audience, databaseUrl, tls }
  const start = (file: string, more: object) => startPeer(file, { ...shared, ...more }, stopping)
  const pids = [
    await start('authorization-server.ts', { port, signingKey: signing.privateJwk, acr }),
    await start('resource-server.ts', { port: port + 1, origin: resourceApi, jwks: { keys: [signing.publicJwk] } }),
  ]
  const mint = (grantId: string, forClient: string, scope: string, cnf: Confirmation) =>
    mintAccessToken(
      { algorithm: 'PS256', kid: 'peer', privateKey: signing.privateKey },
      { iss: issuer, aud: audience, sub: 'customer', client_id: forClient, scope, grant_id: grantId, acr, cnf },
    )
  return {
    name: settings.name,
    issuer,
    resourceApi,
    ca: [certificates.ca],
    pids,
    databaseName,
    client: proofClient(clientId, client, settings.clientAlgorithm),
    app: { client: proofClient(appId, client, settings.clientAlgorithm), scope: 'openid accounts' },
    certificateClient: { clientId, ...certificates.client },
    customers: Array.from(
      { length: customerCount },
      (_, index): Customer => ({ username: `customer-${index}`, password: 'p', totpSecret: undefined }),
    ),
    introspector: {
      clientId: resourceServerId,
      key: { algorithm: settings.clientAlgorithm, kid: 'client', privateKey: client.privateKey },
    },
    introspectionPath: '/token/introspection',
    tokensToAskAbout: (count) => storeOpaqueTokens(db, count, audience),
    registerClients: () => Promise.reject(new Error('the peer has one client')),
    ...consentActs(db, mint),
    settlePayments: async () => undefined,
    comeToRest: async () => undefined,
    checkBooks: (payments) => checkBooks(db, payments, customerCount),
  }
}

const proofClient = (id: string, { privateKey }: Key, algorithm: Algorithm): ProofClient => ({
  clientId: id,
  redirectUri,
  key: { algorithm, kid: 'client', privateKey },
  proofKey: proofKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
})

async function createDatabase(adminUrl: string, name: string): Promise<string> {
  const admin = new pg.Client(adminUrl)
  await admin.connect()
  try {
    await admin.query(`create database ${admin.escapeIdentifier(name)}`)
  } finally {
    await admin.end()
  }
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  return url.href
}

async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  const admin = new pg.Client(adminUrl)
  await admin.connect()
  try {
    await admin.query(`drop database if exists ${admin.escapeIdentifier(name)} with (force)`)
  } finally {
    await admin.end()
  }
}

type Key = { readonly privateKey: KeyObject; readonly privateJwk: JsonWebKey; readonly publicJwk: JsonWebKey }

function createKey(algorithm: Algorithm, kid: string): Key {
  const { privateKey, publicKey } =
    algorithm === 'PS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const uses = { kid, alg: algorithm, use: 'sig' }
  return {
    privateKey,
    privateJwk: { ...privateKey.export({ format: 'jwk' }), ...uses },
    publicJwk: { ...publicKey.export({ format: 'jwk' }), ...uses },
  }
}

async function fill(db: pg.Client, customers: number, jwk: JsonWebKey, algorithm: Algorithm): Promise<void> {
  await db.query(await readFile(`${import.meta.dirname}/../peers/schema.sql`, 'utf8'))
  await db.query(`insert into client values ($1, 'active')`, [clientId])
  const metadata = {
    client_id: clientId,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: ['code'],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: algorithm,
    id_token_signed_response_alg: 'PS256',
    dpop_bound_access_tokens: true,
    require_pushed_authorization_requests: true,
    scope: 'openid accounts payments',
    jwks: { keys: [jwk] },
  }
  const resourceServer = { ...metadata, client_id: resourceServerId, grant_types: [], response_types: [], redirect_uris: [] }
  const app = { ...metadata, client_id: appId, first_party: true }
  await db.query(`insert into oidc_payload (type, id, payload) values ('Client', $1, $2), ('Client', $3, $4), ('Client', $5, $6)`, [
    ...[clientId, metadata],
    ...[resourceServerId, resourceServer],
    ...[appId, app],
  ])
  await db.query(
    `insert into account select format('acc_%s', replace(gen_random_uuid()::text, '-', '')), format('customer-%s', customer), 'Holder', 'Current', 'GBP',
       '201575', lpad((customer * 10 + number)::text, 8, '0'), 'open', $3, 0
     from generate_series(0, $1::integer - 1) customer, generate_series(1, $2::integer) number`,
    [customers, accountsPerCustomer, openingMinor],
  )
}

/** As the library stores access tokens that are not JWTs, with their grants. */
async function storeOpaqueTokens(db: pg.Client, count: number, audience: string): Promise<readonly string[]> {
  const iat = Math.floor(Date.now() / 1000)
  const exp = iat + 3_600
  const tokens = Array.from({ length: count }, () => randomBytes(32).toString('base64url'))
  for (const [index, jti] of tokens.entries()) {
    const shared = { iat, exp, accountId: `customer-${index}`, clientId }
    const grantId = randomBytes(32).toString('base64url')
    const token = { ...shared, kind: 'AccessToken', jti, grantId, scope: 'openid accounts', aud: audience, jkt: 'x'.repeat(43), extra: {} }
    const grant = { ...shared, kind: 'Grant', jti: grantId, openid: { scope: 'openid' }, resources: { [audience]: 'accounts' } }
    await db.query(
      `insert into oidc_payload (type, id, payload, grant_id, expires_at) values ('AccessToken', $1, $2, $3, now() + interval '1 hour'),
         ('Grant', $3, $4, null, now() + interval '1 hour')`,
      [jti, token, grantId, grant],
    )
  }
  return tokens
}

type Mint = (grantId: string, clientId: string, scope: string, cnf: Confirmation) => string

function consentActs(db: pg.Client, mint: Mint): Pick<Target, 'lodgeConsents' | 'authoriseReaders' | 'authorisePayments'> {
  return {
    lodgeConsents: async (count) => {
      const { rows } = await db.query(
        `insert into consent (consent_id, client_id, kind, status, status_updated_at, created_at, permissions)
         select format('con_%s', replace(gen_random_uuid()::text, '-', '')), $2, 'account_access', 'AWAU', now(), now(), $3
         from generate_series(1, $1::integer) returning consent_id`,
        [count, clientId, permissions],
      )
      return rows.map(({ consent_id }) => consent_id)
    },
    authoriseReaders: async (count, forClient, cnf) => {
      const { rows } = await db.query(
        `with chosen as (select distinct on (customer_id) account_id, customer_id from account order by customer_id, account_id limit $1),
              given as (insert into consent (consent_id, client_id, kind, status, status_updated_at, created_at, permissions, customer_id, grant_id)
                        select format('con_%s', replace(gen_random_uuid()::text, '-', '')), $2, 'account_access', 'AUTH', now(), now(), $3, customer_id,
                          gen_random_uuid()::text from chosen returning consent_id, customer_id, grant_id),
              covered as (insert into consent_account select consent_id, account_id from given join chosen using (customer_id))
         select account_id, grant_id from given join chosen using (customer_id)`,
        [count, forClient, permissions],
      )
      return rows.map(({ account_id, grant_id }) => ({
        accountId: account_id,
        accessToken: mint(grant_id, forClient, 'openid accounts', cnf),
      }))
    },
    authorisePayments: async (count, forClient, cnf) => {
      const { rows: accounts } = await db.query(
        'select account_id, sort_code || account_number as identification from account order by account_id limit $1',
        [payingAccounts],
      )
      const pick = () => accounts[Math.floor(Math.random() * accounts.length)]
      const wanted = Array.from({ length: count }, () => {
        const debtor = pick()
        const creditor = pick()
        return {
          debtor: debtor.account_id,
          ...paymentRequest(debtor === creditor ? accounts[(accounts.indexOf(debtor) + 1) % accounts.length] : creditor),
        }
      })
      const { rows } = await db.query(
        `insert into consent (consent_id, client_id, kind, status, status_updated_at, created_at, permissions, request, debtor_account_id, grant_id)
         select format('con_%s', replace(gen_random_uuid()::text, '-', '')), $1, 'domestic_payment', 'AUTH', now(), now(), '{}', wanted.value -> 'request',
           wanted.value ->> 'debtor', gen_random_uuid()::text from jsonb_array_elements($2) wanted returning consent_id, grant_id, request`,
        [forClient, JSON.stringify(wanted)],
      )
      return rows.map(({ consent_id, grant_id, request }) => ({
        accessToken: mint(grant_id, forClient, 'openid payments', cnf),
        body: { Data: { ConsentId: consent_id, Initiation: request.Data.Initiation }, Risk: request.Risk },
      }))
    },
  }
}

const paymentRequest = ({ identification }: { identification: string }) => ({
  request: {
    Data: {
      Initiation: {
        InstructionIdentification: 'BENCH',
        EndToEndIdentification: 'BENCH.E2E',
        InstructedAmount: { Amount: '0.01', Currency: 'GBP' },
        CreditorAccount: { SchemeName: 'UK.OBIE.SortCodeAccountNumber', Identification: identification, Name: 'Bench' },
        RemittanceInformation: { Unstructured: ['Bench'] },
      },
    },
    Risk: {},
  },
})

async function checkBooks(db: pg.Client, payments: number, customers: number): Promise<void> {
  const { rows } = await db.query(
    `select (select count(*) from payment where status = 'posted') as posted, (select count(*) from posting) as postings,
       (select coalesce(sum(amount_minor), 0) from posting) as difference, (select sum(balance_minor) from account) as money`,
  )
  const { posted, postings, difference, money } = rows[0]
  const expected = customers * accountsPerCustomer * openingMinor
  if (Number(posted) !== payments || Number(postings) !== 2 * payments || Number(difference) !== 0 || Number(money) !== expected)
    throw new Error(`the books of the peer do not balance: ${JSON.stringify(rows[0])}, expected ${payments} payments and ${expected} pence`)
}
