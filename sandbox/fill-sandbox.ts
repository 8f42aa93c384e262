import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { registerClient } from '@bankside/bank/clients/register-client'
import type { DataKeys } from '@bankside/bank/customers/totp'
import { type DemoCustomer, fillDemoData } from '@bankside/bank/sandbox/demo-data'
import { addGeneratedCustomers, generatedCustomersLimit } from '@bankside/bank/sandbox/generated-customers'
import { systemClock } from '@bankside/service-kit/clock'
import { type Database, openDatabase, sql, transact, z } from '@bankside/service-kit/postgres'
import type { SandboxRegistration } from './client-registrations.ts'
import { writePrivateFile } from './private-file.ts'
import { Problem } from './problem.ts'
import type { Settings } from './settings.ts'

export type Filling = {
  readonly settings: Settings
  readonly ownerUrl: string
  readonly dataKey: DataKeys
  readonly clients: readonly SandboxRegistration[]
}

export function redirectUriOf({ ports }: Settings): string {
  return `https://localhost:${ports.thirdParty}/callback`
}

/** Registers the sandbox's clients and enters its customers. A second time finds them. */
export async function fillSandbox({ settings, ownerUrl, dataKey, clients }: Filling): Promise<readonly DemoCustomer[]> {
  const database = await openDatabase(ownerUrl, { maxConnections: 2, statementTimeoutMs: 60_000 })
  try {
    await registerClients(database, clients)
    const customers = await transact(database, (tx) => fillDemoData(tx, { dataKey, now: systemClock.now() })).catch(refuseOthersData)
    return [...customers, ...(await ensureGenerated(database, settings, dataKey))]
  } finally {
    await database.end()
  }
}

async function registerClients(database: Database, clients: readonly SandboxRegistration[]): Promise<void> {
  for (const { registration } of clients) await transact(database, (tx) => registerClient(tx, { ...registration, now: systemClock.now() }))
}

/** Customers' secrets are sealed with a key in the sandbox's folder: a database and a folder belong together. */
function refuseOthersData(error: unknown): never {
  if (!(error instanceof Error && error.message.includes('does not open'))) throw error
  throw new Problem(
    'This database was filled by a sandbox in another folder. Use that folder (BANKSIDE_HOME), or another database (DATABASE_URL).',
  )
}

/** For load: as many as were asked for. Their credentials are kept beside the database, which knows hashes only. */
async function ensureGenerated(
  database: Database,
  { home, generatedCustomers: wanted }: Settings,
  dataKey: DataKeys,
): Promise<readonly DemoCustomer[]> {
  if (wanted === 0) return []
  const path = join(home, 'generated-customers.json')
  const kept = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as DemoCustomer[]) : []
  const generated = await stillThere(database, kept)
  while (generated.length < wanted) {
    const count = Math.min(wanted - generated.length, generatedCustomersLimit)
    generated.push(...(await transact(database, (tx) => addGeneratedCustomers(tx, count, { dataKey, now: systemClock.now() }))))
    writePrivateFile(path, generated)
  }
  return generated.slice(0, wanted)
}

async function stillThere(database: Database, customers: readonly DemoCustomer[]): Promise<DemoCustomer[]> {
  const ids = sql.array(
    customers.map(({ customerId }) => customerId),
    'text',
  )
  const rows = await database.any(
    sql.type(z.object({ customer_id: z.string() }))`select customer_id from customers.customer where customer_id = any(${ids})`,
  )
  const there = new Set(rows.map(({ customer_id }) => customer_id))
  return customers.filter(({ customerId }) => there.has(customerId))
}
