import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matchNames } from './name-match.ts'

const names: Record<ReturnType<typeof matchNames>, readonly (readonly [written: string, holder: string])[]> = {
  not_matched: [
    ['Ben Nevis', 'Ada Byron'],
    ['Ada', 'Ada Byron'],
    ['Byron', 'Ada Byron'],
    ['A', 'Ada Byron'],
    ['A B', 'Ada Byron'],
    ['Ada Baron Nevis', 'Ada Byron'],
    ['B Byron', 'Ada Byron'],
    ['Ali', 'Eli'],
    ['...', 'Ada Byron'],
    ['', ''],
    ['Mr', 'Ada Byron'],
    ['x'.repeat(100_000), 'Ada Byron'],
    ['constructor', 'Ada Byron'],
  ],
  close_match: [
    ['A Byron', 'Ada Byron'],
    ['A. Byron', 'Ada King Byron'],
    ['Ada Byron', 'Ada King Byron'],
    ['Ada King Byron', 'Ada Byron'],
    ['Byron Ada', 'Ada Byron'],
    ['Ada Biron', 'Ada Byron'],
    ['Adda Byron', 'Ada Byron'],
    ['Riverside Rentels', 'Riverside Rentals'],
  ],
  matched: [
    ['Ada Byron', 'Ada Byron'],
    ['ADA  BYRON', 'Ada Byron'],
    ['Mrs. Ada Byron', 'Ada Byron'],
    ['Chloé Dupont', 'Chloe\u0301 Dupont'],
    ['Chloe Dupont', 'Chloé Dupont'],
    ["Sean O'Neill", 'Sean O’Neill'],
    ['Kettle & Crumb Limited', 'Kettle and Crumb Ltd.'],
    ['Ａｄａ Byron', 'Ada Byron'],
  ],
}
for (const [result, pairs] of Object.entries(names))
  for (const [written, holder] of pairs)
    test(`NAT-S7 ${JSON.stringify(written.slice(0, 40))} for ${JSON.stringify(holder)} is ${result}`, () =>
      assert.equal(matchNames(written, holder), result))
