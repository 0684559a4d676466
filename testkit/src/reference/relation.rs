//! Structural operators: which spans of two sides of one trace are related.

use traceql::Dialect;
use traceql::ast::{Relation, StructuralForm};

use super::tree::Place;

/// The spans that `lhs op rhs` yields, as indexes into `places`, ascending.
#[must_use]
pub fn join(
    relation: Relation,
    form: StructuralForm,
    lhs: &[usize],
    rhs: &[usize],
    places: &[Place],
    dialect: Dialect,
) -> Vec<usize> {
    let related = |&left: &usize, &right: &usize| {
        left != right
            && match dialect {
                Dialect::Spandrel => by_parents(relation, left, right, places),
                Dialect::Tempo => by_numbers(relation, &places[left], &places[right]),
            }
    };
    let of_rhs = |wanted: bool| {
        let kept = rhs
            .iter()
            .filter(move |right| lhs.iter().any(|left| related(left, right)) == wanted);
        kept.copied()
    };
    let mut spans: Vec<usize> = match form {
        StructuralForm::Plain => of_rhs(true).collect(),
        StructuralForm::Negated => of_rhs(false).collect(),
        StructuralForm::Union => {
            let of_lhs = lhs
                .iter()
                .filter(|left| rhs.iter().any(|right| related(left, right)));
            of_rhs(true).chain(of_lhs.copied()).collect()
        }
    };
    spans.sort_unstable();
    spans.dedup();
    spans
}

/// Whether `right` is the child, parent, … of `left`, where the two are different spans: by the
/// parents that they have, wherever those lead to.
fn by_parents(relation: Relation, left: usize, right: usize, places: &[Place]) -> bool {
    let is_child = |child: usize, parent| places[child].parent_span == Some(parent);
    let is_below = |below: usize, above| {
        let mut ancestors = std::iter::successors(places[below].parent_span, |&ancestor| {
            places[ancestor].parent_span
        });
        ancestors.any(|ancestor| ancestor == above)
    };
    match relation {
        Relation::Child => is_child(right, left),
        Relation::Parent => is_child(left, right),
        Relation::Descendant => is_below(right, left),
        Relation::Ancestor => is_below(left, right),
        Relation::Sibling => {
            let (left, right) = (&places[left], &places[right]);
            match (left.parent_span, right.parent_span) {
                // Of one missing parent, or both of none, as roots are.
                (None, None) => left.parent_id == right.parent_id,
                (left, right) => left == right,
            }
        }
    }
}

/// The same by the numbers of the nested set. Spans that no root leads to have none, and so are
/// related to nothing.
fn by_numbers(relation: Relation, left: &Place, right: &Place) -> bool {
    match relation {
        Relation::Child => is_child(right, left),
        Relation::Parent => is_child(left, right),
        Relation::Descendant => is_descendant(right, left),
        Relation::Ancestor => is_descendant(left, right),
        // The roots of one trace are siblings: all of them have −1.
        Relation::Sibling => left.parent == right.parent && left.parent != 0,
    }
}

fn is_child(child: &Place, parent: &Place) -> bool {
    parent.left != 0 && parent.left == child.parent
}

fn is_descendant(below: &Place, above: &Place) -> bool {
    above.left != 0 && below.left > above.left && below.right < above.right
}

#[cfg(test)]
mod tests {
    use storage::ids::SpanId;

    use super::*;

    /// 0 is the root; 1 and 3 its children; 2 a child of 1; 4 and 6 lack one parent, and 5 is a
    /// child of 4.
    fn places() -> Vec<Place> {
        let id = |number| Some(SpanId([number; 8]));
        let numbers = [
            (1, 8, -1, None, None),
            (2, 5, 1, Some(0), id(1)),
            (3, 4, 2, Some(1), id(2)),
            (6, 7, 1, Some(0), id(1)),
            (0, 0, 0, None, id(9)),
            (0, 0, 0, Some(4), id(4)),
            (0, 0, 0, None, id(9)),
        ];
        let place = |(left, right, parent, parent_span, parent_id)| Place {
            left,
            right,
            parent,
            parent_span,
            parent_id,
            ..Place::default()
        };
        numbers.map(place).to_vec()
    }

    #[test]
    fn the_three_forms() {
        use StructuralForm::{Negated, Plain, Union};
        let all = [0, 1, 2, 3, 4, 5, 6];
        for dialect in Dialect::ALL {
            let join = |relation, form, lhs: &[usize], rhs: &[usize]| {
                join(relation, form, lhs, rhs, &places(), dialect)
            };
            assert_eq!(join(Relation::Child, Plain, &[0], &all), [1, 3]);
            assert_eq!(join(Relation::Parent, Plain, &[2], &all), [1]);
            assert_eq!(join(Relation::Descendant, Plain, &[0], &all), [1, 2, 3]);
            assert_eq!(join(Relation::Ancestor, Plain, &[2], &all), [0, 1]);
            assert_eq!(join(Relation::Sibling, Plain, &[1], &all), [3]);
            assert_eq!(join(Relation::Child, Negated, &[], &[2]), [2]);
            assert_eq!(join(Relation::Child, Union, &[0], &[2, 3]), [0, 3]);
            assert_eq!(join(Relation::Sibling, Union, &[1], &[1, 3]), [1, 3]);
        }
    }

    #[test]
    fn dialects_differ_about_what_no_root_leads_to() {
        use StructuralForm::{Negated, Plain};
        let all = [0, 1, 2, 3, 4, 5, 6];
        let join = |relation, form, dialect| join(relation, form, &all, &all, &places(), dialect);
        for (relation, form, spandrel, tempo) in [
            (Relation::Child, Plain, &[1, 2, 3, 5][..], &[1, 2, 3][..]),
            (Relation::Ancestor, Plain, &[0, 1, 4], &[0, 1]),
            (Relation::Sibling, Plain, &[1, 3, 4, 6], &[1, 3]),
            (Relation::Child, Negated, &[0, 4, 6], &[0, 4, 5, 6]),
            (Relation::Descendant, Negated, &[0, 4, 6], &[0, 4, 5, 6]),
        ] {
            assert_eq!(
                join(relation, form, Dialect::Spandrel),
                spandrel,
                "{relation:?} {form:?}"
            );
            assert_eq!(
                join(relation, form, Dialect::Tempo),
                tempo,
                "{relation:?} {form:?}"
            );
        }
    }
}
