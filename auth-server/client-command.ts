/** `npm run client -- …`: who may come, for the bank's engineers. The database is that of DATABASE_URL, or of the sandbox that runs here. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { allowRegistration } from '@bankside/bank/clients/initial-access-token'
import { listClients } from '@bankside/bank/clients/list-clients'
import { setClientStatus } from '@bankside/bank/clients/set-client-status'
import { askAgain, type ListedEntry, listRegisterEntries } from '@bankside/bank/licences/ask-again'
import { systemClock } from '@bankside/service-kit/clock'
import { ConfigError, databaseUrl, readConfig } from '@bankside/service-kit/config'
import { runningPort, startEmbeddedPostgres } from '@bankside/service-kit/embedded-postgres'
import { expiringSoonMs } from '@bankside/service-kit/expiry'
import { type Database, openDatabase, transact, z } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import { handleHash } from './storage/handle-hash.ts'
import { scopesOfThirdParties } from './tokens/scopes.ts'

const usage = `npm run client -- list [part of an id or name]
npm run client -- block CLIENT_ID       refused from the very next call on, by both servers; nothing is lost
npm run client -- unblock CLIENT_ID     goes on where it was
npm run client -- check [CLIENT_ID]      has its register asked now whether it is still authorised, or all registers about everyone
npm run client -- token --for "Acorn" [--scope "openid accounts"] [--uses 1] [--days 7]
                                        lets somebody register without a software statement (RFC 7591)`

class Complaint extends Error {}

const usesAtMost = 1_000
const daysAtMost = 90
const dayMs = 86_400_000
const checkEveryMs = 250
const checksAtMost = 60

try {
  const database = await openDatabase(await databaseUrlToUse(), { maxConnections: 1 })
  try {
    console.log(await run(database, process.argv.slice(2)))
  } finally {
    await database.end()
  }
} catch (error) {
  if (!(error instanceof Complaint || error instanceof ConfigError || error instanceof Unavailable)) throw error
  console.error(error instanceof Unavailable ? 'The database does not answer.' : error.message)
  process.exitCode = 1
}

async function run(database: Database, args: string[]): Promise<string> {
  const { command, subject, values } = readArguments(args)
  switch (command) {
    case 'list':
      return list(database, subject)
    case 'block':
    case 'unblock':
      return setStatus(database, subject, command === 'block' ? 'blocked' : 'active')
    case 'check':
      return check(database, subject === '' ? undefined : subject)
    case 'token':
      return allow(database, values)
    default:
      throw new Complaint(usage)
  }
}

function readArguments(args: string[]) {
  try {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        for: { type: 'string', default: '' },
        scope: { type: 'string', default: scopesOfThirdParties.join(' ') },
        uses: { type: 'string', default: '1' },
        days: { type: 'string', default: '7' },
      },
    })
    const [command, subject = ''] = positionals
    return { command, subject, values }
  } catch (error) {
    throw error instanceof TypeError ? new Complaint(usage) : error
  }
}

async function list(database: Database, named: string): Promise<string> {
  const clients = await transact(database, (tx) => listClients(tx, named))
  if (clients.length === 0) return 'There is none.'
  const rows = clients.map(({ clientId, status, profile, registeredBy, name, firstParty, certificateUntil }) => [
    ...[clientId, status, profile, firstParty ? 'own app' : `by ${registeredBy}`, name, describeEnd(certificateUntil)],
  ])
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}

/** CERT-15. */
function describeEnd(until: Date | undefined): string {
  if (until === undefined) return 'no certificate seen'
  const leftMs = until.getTime() - systemClock.now().getTime()
  const date = until.toISOString().slice(0, 10)
  if (leftMs <= 0) return `certificate ENDED ${date}`
  return leftMs > expiringSoonMs ? `certificate until ${date}` : `certificate ENDS in ${Math.floor(leftMs / dayMs)} days, ${date}`
}

async function setStatus(database: Database, clientId: string, status: 'blocked' | 'active'): Promise<string> {
  if (clientId === '') throw new Complaint(usage)
  const changed = await transact(database, (tx) => setClientStatus(tx, { clientId, status, actor: 'operator', now: systemClock.now() }))
  const found = (await transact(database, (tx) => listClients(tx, clientId))).find((client) => client.clientId === clientId)
  if (changed && found?.status === 'withdrawn')
    return `${clientId} is not blocked any more, and waits for its register: it is withdrawn there.`
  if (changed) return `${clientId} is ${status}.`
  if (found === undefined) throw new Complaint(`There is no client ${clientId}.`)
  if (found.status === 'withdrawn') throw new Complaint(`${clientId} is withdrawn in its register: ask again with "check".`)
  if (found.status !== status) throw new Complaint(`${clientId} is ${found.status}: it does not come back.`)
  return `${clientId} was ${status} already.`
}

async function check(database: Database, clientId: string | undefined): Promise<string> {
  const now = systemClock.now()
  const asked = await transact(database, (tx) => askAgain(tx, clientId, now))
  if (asked === 0) throw new Complaint('There is no organisation of a directory to ask about.')
  for (let waited = 0; ; waited++) {
    const entries = await transact(database, (tx) => listRegisterEntries(tx, clientId))
    const isAnswered = ({ answeredAt }: ListedEntry) => answeredAt !== undefined && answeredAt >= now
    if (entries.every(isAnswered) || waited === checksAtMost)
      return entries.map((entry) => describeEntry(entry, isAnswered(entry))).join('\n')
    await sleep(checkEveryMs)
  }
}

function describeEntry({ organisationId, directory, answer, answeredAt, lastError }: ListedEntry, isNew: boolean): string {
  const roles = answer?.roles === undefined ? '' : ` ${[...answer.roles].join(' ') || 'without a role'}`
  const said = answer === undefined ? 'never answered' : `${answer.active ? 'active' : 'withdrawn'}${roles}`
  const when = isNew ? 'now' : [answeredAt?.toISOString() ?? [], lastError ?? 'no worker has asked'].flat().join(': ')
  return `${organisationId} in ${directory}: ${said}, ${when}`
}

async function allow(database: Database, values: Readonly<Record<'for' | 'scope' | 'uses' | 'days', string>>): Promise<string> {
  const scopes = values.scope.split(' ').filter((scope) => scope !== '')
  const unknown = scopes.filter((scope) => !scopesOfThirdParties.some((known) => known === scope))
  if (values.for === '' || scopes.length === 0) throw new Complaint(usage)
  if (unknown.length > 0) throw new Complaint(`Third parties may have ${scopesOfThirdParties.join(', ')}; not ${unknown.join(', ')}.`)
  const token = randomBytes(32).toString('base64url')
  const now = systemClock.now()
  const uses = wholeNumber(values.uses, 'uses', usesAtMost)
  const expiresAt = new Date(now.getTime() + wholeNumber(values.days, 'days', daysAtMost) * dayMs)
  await transact(database, (tx) => allowRegistration(tx, { tokenHash: handleHash(token), note: values.for, scopes, uses, expiresAt, now }))
  console.error(
    `For ${values.for}: ${uses === 1 ? 'one registration' : `${uses} registrations`} until ${expiresAt.toISOString()}. It is shown once.`,
  )
  return token
}

function wholeNumber(text: string, name: string, atMost: number): number {
  const number = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0
  if (number < 1 || number > atMost) throw new Complaint(`--${name} is a number from 1 to ${atMost}.`)
  return number
}

async function databaseUrlToUse(): Promise<string> {
  const settings = z.object({
    DATABASE_URL: databaseUrl.optional(),
    BANKSIDE_HOME: z.string().default(join(import.meta.dirname, '..', '.bankside')),
  })
  const { DATABASE_URL, BANKSIDE_HOME } = readConfig(settings)
  if (DATABASE_URL !== undefined) return DATABASE_URL
  const folder = join(BANKSIDE_HOME, 'postgres')
  if (runningPort(folder) === undefined)
    throw new Complaint(`No sandbox runs in ${BANKSIDE_HOME}. Start one with "npm start", or set DATABASE_URL.`)
  return (await startEmbeddedPostgres({ folder, database: 'bankside' })).url
}
