import type { DemoCustomer } from '@bankside/bank/sandbox/demo-data'
import { originsOf, placesIn, type Settings } from './settings.ts'

const shownCustomers = 5

/** What `npm start` ends with: where things are, who can sign in, what to do next. */
export function startPage(
  settings: Settings,
  customers: readonly DemoCustomer[],
  { seconds, colour }: { seconds: number; colour: boolean },
): string {
  const { bold, dim } = colour ? styles : plain
  const origins = originsOf(settings.ports)
  const addresses = [
    ['Authorization server', origins.issuer],
    ['the same, over mTLS', origins.mtlsIssuer],
    ['UK Open Banking API', `${origins.ukAudience}/v4.0`],
    ["The bank's own API", origins.bankAudience],
    ['Who has access', `${origins.issuer}/connected-accounts`],
    ['For programs', placesIn(settings.home).sandboxFile],
  ] as const
  const shown = customers.slice(0, shownCustomers)
  const width = Math.max(...shown.map(({ username }) => username.length))
  const more = customers.length > shown.length ? [dim(`  and ${customers.length - shown.length} generated ones, in sandbox.json`)] : []
  return [
    '',
    `${bold('Bankside is running.')} ${dim(`Ready in ${seconds.toFixed(1)} s.`)}`,
    '',
    ...addresses.map(([label, address]) => `  ${label.padEnd(22)}${address}`),
    '',
    bold('Demo customers'),
    ...shown.map(({ username, password, fullName }) => `  ${username.padEnd(width + 2)}${password.padEnd(28)}${dim(fullName)}`),
    ...more,
    `  The six-digit code of one of them:  npm run code -- ${shown[0]?.username ?? 'name'}`,
    '',
    bold('Next'),
    '  npm run demo     a third party reads accounts and pays, with the consent of a customer',
    '  Ctrl-C           stops everything; the data stay (npm run reset starts over)',
    '',
  ].join('\n')
}

const styles = { bold: (text: string) => `\u001b[1m${text}\u001b[22m`, dim: (text: string) => `\u001b[2m${text}\u001b[22m` }
const plain = { bold: (text: string) => text, dim: (text: string) => text }
