import { clusters, type Permission } from './permission.ts'

export type ClusterText = { readonly title: string; readonly lines: readonly string[] }

/** These Detail lines say what their Basic line says, and more: the Basic one is left out beside them (AIS-04). */
const saidByDetail: Partial<Record<Permission, Permission>> = {
  ReadBeneficiariesBasic: 'ReadBeneficiariesDetail',
  ReadStandingOrdersBasic: 'ReadStandingOrdersDetail',
  ReadScheduledPaymentsBasic: 'ReadScheduledPaymentsDetail',
  ReadStatementsBasic: 'ReadStatementsDetail',
}

/** What a customer reads of the permissions asked for: only the clusters concerned, in plain words (CX-AIS-02). */
export function permissionTexts(permissions: readonly Permission[]): readonly ClusterText[] {
  const asked = new Set(permissions)
  return clusters
    .map(({ title, lines }) => ({
      title,
      lines:
        title === 'Your account transactions'
          ? transactionLines(asked)
          : (Object.entries(lines) as [Permission, string][])
              .filter(([code]) => asked.has(code) && !isSaidByDetail(code, asked))
              .map(([, text]) => text),
    }))
    .filter(({ lines }) => lines.length > 0)
}

function isSaidByDetail(code: Permission, asked: ReadonlySet<Permission>): boolean {
  const detail = saidByDetail[code]
  return detail !== undefined && asked.has(detail)
}

/** Four codes, one sentence: one direction only is said, both are not (section 5.9). */
function transactionLines(asked: ReadonlySet<Permission>): string[] {
  if (!asked.has('ReadTransactionsBasic') && !asked.has('ReadTransactionsDetail')) return []
  const credits = asked.has('ReadTransactionsCredits')
  const direction = credits === asked.has('ReadTransactionsDebits') ? '' : credits ? 'incoming ' : 'outgoing '
  return [asked.has('ReadTransactionsDetail') ? `Details of your ${direction}transactions` : `Your ${direction}transactions`]
}
