import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { DemoCustomer } from '@bankside/bank/sandbox/demo-data'
import type { SandboxFiles } from '@bankside/certs/sandbox-files'
import type { Clock } from '@bankside/service-kit/clock'
import { type Database, openDatabase, sql, z } from '@bankside/service-kit/postgres'
import { createTlsServer, drain, listen } from '@bankside/service-kit/tls-server'
import { originsOf, type Settings } from '../settings.ts'
import { type Action, RobotCustomer } from './robot-customer.ts'

const path = '/ciba-approval'
const longestHandle = 256
const drainMs = 2_000

/** What `sandbox.json` says: a program puts in an auth_req_id and `allow` or `deny`. */
export const approvalUrlOf = ({ ports }: Settings): string =>
  `https://localhost:${ports.approvalDesk}${path}?auth_req_id={auth_req_id}&action={action}`

export type Desk = { stop(): Promise<void> }
export type DeskNeeds = {
  readonly settings: Settings
  readonly ownerUrl: string
  readonly files: SandboxFiles
  readonly customers: readonly DemoCustomer[]
  readonly clock: Clock
  readonly say: (line: string) => void
}

/**
 * Where automated tests say what a demo customer answers to a CIBA request. It is the sandbox's alone, a server of the
 * launcher's: no process of the product has it, or could be told to. It knows the demo customers' passwords, and answers on
 * their pages as they would.
 */
export async function openApprovalDesk({ settings, ownerUrl, files, customers, clock, say }: DeskNeeds): Promise<Desk> {
  const database = await openDatabase(ownerUrl, { maxConnections: 1 })
  const needs = { issuer: originsOf(settings.ports).issuer, ca: readFileSync(files.caFile, 'utf8'), clock }
  const robots = new Map<string, RobotCustomer>()
  const robotOf = (username: string): RobotCustomer | undefined => {
    const customer = customers.find((one) => one.username === username)
    const robot = robots.get(username) ?? (customer && new RobotCustomer(customer, needs))
    if (robot !== undefined) robots.set(username, robot)
    return robot
  }
  const certificates = [files.serverEc, files.serverRsa].map(({ keyFile, certFile }) => ({
    key: readFileSync(keyFile, 'utf8'),
    cert: readFileSync(certFile, 'utf8'),
  }))
  const server = createTlsServer({ certificates, requestClientCertificate: false }, (request, response) => {
    request.resume()
    answer(request, { database, robotOf }).then(
      (given) => send(response, given),
      (error: Error) => {
        say(`A CIBA request could not be answered: ${error.message}`)
        send(response, { status: 500, body: { error: 'not_answered', error_description: error.message } })
      },
    )
  })
  await listen(server, { port: settings.ports.approvalDesk, address: '127.0.0.1' })
  return {
    async stop() {
      await drain(server, { limitMs: drainMs })
      await database.end()
    },
  }
}

type Answering = { readonly database: Database; readonly robotOf: (username: string) => RobotCustomer | undefined }
type Answer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> }

async function answer(request: IncomingMessage, { database, robotOf }: Answering): Promise<Answer> {
  const url = URL.parse(request.url ?? '', 'https://localhost')
  if (url?.pathname !== path) return refused(404, 'not_found', `this server has ${path} only`)
  if (request.method !== 'POST') return refused(405, 'method_not_allowed', 'POST, please')
  const action = url.searchParams.get('action')
  const handle = url.searchParams.get('auth_req_id') ?? ''
  if (!isAction(action) || handle === '' || handle.length > longestHandle)
    return refused(400, 'invalid_request', 'auth_req_id, and action=allow or action=deny, are needed in the query')
  const asked = await find(database, handle)
  if (asked === undefined) return refused(404, 'not_found', 'no such auth_req_id')
  if (asked.outcome !== null) return { status: 200, body: { outcome: asked.outcome } }
  const robot = robotOf(asked.username)
  if (robot === undefined) return refused(409, 'not_a_demo_customer', 'this customer answers in person')
  await robot.answer(asked.request_id, action)
  const { outcome = null } = (await find(database, handle)) ?? {}
  return { status: 200, body: { outcome: outcome ?? 'expired' } }
}

const isAction = (text: string | null): text is Action => text === 'allow' || text === 'deny'

const refused = (status: number, error: string, error_description: string): Answer => ({ status, body: { error, error_description } })

const askedRow = z.object({ request_id: z.string(), username: z.string(), outcome: z.string().nullable() })

async function find(database: Database, handle: string): Promise<z.infer<typeof askedRow> | undefined> {
  const row = await database.maybeOne(sql.type(askedRow)`
    select r.request_id, c.username, r.outcome
    from oidc.backchannel_authentication_request r join customers.customer c on c.customer_id = r.customer_id
    where r.id_hash = ${sql.binary(hash('sha256', handle, 'buffer'))}`)
  return row ?? undefined
}

function send(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...(status === 405 && { allow: 'POST' }) })
  response.end(JSON.stringify(body))
}
