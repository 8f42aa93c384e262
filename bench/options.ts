import { parseArgs } from 'node:util'

export type Options = {
  readonly paths: readonly string[]
  readonly seconds: number
  readonly rounds: number
  readonly customers: number
  readonly selfCheck: boolean
  readonly databaseUrl: string | undefined
  /** The ledger against pgbench, instead of the paths. */
  readonly ledger: boolean
  readonly large: boolean
}

export const usage = `npm run bench -- [options]
  --paths a,b      only the paths whose names contain one of these (${'client, PAR, code, refresh, introspection, JWKS, discovery, balance, transfer'})
  --seconds 2      length of a round
  --rounds 5       rounds on each side, taken in turn
  --customers 64   customers of the sandbox and of the peer
  --self-check     the peer against a second peer: every ratio must be about 1
  --ledger         the ledger against pgbench on the same server, instead of the paths; --paths chooses among its rows
  --large          with --ledger: a million accounts and five million entries as well
  --database url   with --self-check: a PostgreSQL server to use instead of a sandbox`

/** @throws {RangeError} with a sentence for the person at the terminal. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      paths: { type: 'string', default: '' },
      seconds: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '5' },
      customers: { type: 'string', default: '64' },
      'self-check': { type: 'boolean', default: false },
      database: { type: 'string' },
      ledger: { type: 'boolean', default: false },
      large: { type: 'boolean', default: false },
    },
  })
  if (values.database !== undefined && !values['self-check'])
    throw new RangeError('--database needs --self-check: the product brings its own')
  return {
    paths: values.paths.split(',').filter((path) => path !== ''),
    seconds: within('--seconds', values.seconds, 0.2, 60),
    rounds: within('--rounds', values.rounds, 1, 50),
    customers: within('--customers', values.customers, 16, 1_000),
    selfCheck: values['self-check'],
    databaseUrl: values.database,
    ledger: values.ledger,
    large: values.large,
  }
}

function within(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (!(value >= least && value <= most)) throw new RangeError(`${name} takes a number from ${least} to ${most}, not ${text}`)
  return value
}
