import { test } from 'node:test'
// Tests stand outside the arrows: the words come from the bank as data, and here both are read together, as the customer does.
import { clusters as allClusters, type Permission } from '@bankside/bank/consents/permission'
import { permissionTexts } from '@bankside/bank/consents/permission-texts'
import { chooseAccountsPage } from './choose-accounts.ts'
import { accounts, journey, mayaAtAcorn } from './gallery-subjects.ts'

const every = allClusters.flatMap(({ lines }) => Object.keys(lines)) as Permission[]
const transactions = ['ReadTransactionsDetail', 'ReadTransactionsCredits', 'ReadTransactionsDebits'] as const

const combinations: Record<string, readonly Permission[]> = {
  'balance only': ['ReadAccountsBasic', 'ReadBalances'],
  'basic and detail of accounts': ['ReadAccountsBasic', 'ReadAccountsDetail'],
  'incoming transactions': ['ReadAccountsDetail', 'ReadTransactionsBasic', 'ReadTransactionsCredits'],
  'outgoing transactions': ['ReadAccountsDetail', 'ReadTransactionsDetail', 'ReadTransactionsDebits'],
  'all transactions': ['ReadAccountsDetail', ...transactions],
  budgeting: ['ReadAccountsDetail', 'ReadBalances', ...transactions, 'ReadDirectDebits', 'ReadStandingOrdersDetail'],
  lending: ['ReadAccountsDetail', 'ReadBalances', ...transactions, 'ReadStatementsDetail', 'ReadPartyPSU'],
  'comparing accounts': ['ReadAccountsBasic', 'ReadProducts', 'ReadOffers'],
  'basic and detail of everything regular': every.filter((code) =>
    /Beneficiaries|StandingOrders|ScheduledPayments|DirectDebits/.test(code),
  ),
  everything: every,
}

/** After a change of wording that is meant: `node --test --test-update-snapshots consent-ui/permission-sets.test.ts`, and read the difference. */
for (const permission of every) test(`CX-AIS-02 CX-AIS-09 ${permission} alone`, (t) => t.assert.snapshot(shown([permission])))
for (const [name, permissions] of Object.entries(combinations)) test(`CX-AIS-02 ${name}`, (t) => t.assert.snapshot(shown(permissions)))

/** What the page says will be seen: headings and the lines under them. */
function shown(permissions: readonly Permission[]): string[] {
  const markup = String(
    chooseAccountsPage({ ...journey, common: mayaAtAcorn, clusters: permissionTexts(permissions), accounts, expiry: 'Until you stop it' }),
  )
  const list = /<ul class="clusters".*?<h2>/s.exec(markup)?.[0] ?? ''
  return [...list.matchAll(/<(summary|li)>([^<]+)</g)].map(([, element, text]) => (element === 'summary' ? `${text}:` : `  ${text}`))
}
