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

export type PermissionChange = { readonly added: readonly ClusterText[]; readonly removed: readonly ClusterText[] }

/**
 * What is new to a customer who agreed to other permissions before, and what they would not share any more, in the same words.
 * A line that only says more than the one before it takes nothing away.
 */
export function permissionChange(before: readonly Permission[], after: readonly Permission[]): PermissionChange {
  const [textsBefore, textsAfter] = [permissionTexts(before), permissionTexts(after)]
  const gone = before.filter((code) => !after.includes(code))
  const titlesWithLoss = new Set(clusters.filter(({ lines }) => gone.some((code) => code in lines)).map(({ title }) => title as string))
  return {
    added: linesOnlyIn(textsAfter, textsBefore),
    removed: linesOnlyIn(textsBefore, textsAfter).filter(({ title }) => titlesWithLoss.has(title)),
  }
}

function linesOnlyIn(these: readonly ClusterText[], others: readonly ClusterText[]): readonly ClusterText[] {
  const known = new Set(others.flatMap(({ lines }) => lines))
  return these
    .map(({ title, lines }) => ({ title, lines: lines.filter((line) => !known.has(line)) }))
    .filter(({ lines }) => lines.length > 0)
}
