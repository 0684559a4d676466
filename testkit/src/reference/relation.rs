//! Structural operators: which spans of two sides of one trace are related.

use traceql::ast::{Relation, StructuralForm};

use super::tree::Place;

/// The spans that `lhs op rhs` yields, as indexes into `places`, ascending.
///
/// Spans that no root leads to are related to nothing.
#[must_use]
pub fn join(
    relation: Relation,
    form: StructuralForm,
    lhs: &[usize],
    rhs: &[usize],
    places: &[Place],
) -> Vec<usize> {
    let related = |&left: &usize, &right: &usize| {
        left != right && holds(relation, &places[left], &places[right])
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

/// Whether `right` is the child, parent, … of `left`, where the two are different spans.
fn holds(relation: Relation, left: &Place, right: &Place) -> bool {
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
    use super::*;

    /// 0 is the root; 1 and 3 its children; 2 a child of 1; 4 hangs on no root.
    fn places() -> Vec<Place> {
        let numbers = [(1, 8, -1), (2, 5, 1), (3, 4, 2), (6, 7, 1), (0, 0, 0)];
        let place = |(left, right, parent)| Place {
            left,
            right,
            parent,
            ..Place::default()
        };
        numbers.map(place).to_vec()
    }

    #[test]
    fn the_three_forms() {
        use StructuralForm::{Negated, Plain, Union};
        let join = |relation, form, lhs: &[usize], rhs: &[usize]| {
            join(relation, form, lhs, rhs, &places())
        };
        let all = [0, 1, 2, 3, 4];
        assert_eq!(join(Relation::Child, Plain, &[0], &all), [1, 3]);
        assert_eq!(join(Relation::Parent, Plain, &[2], &all), [1]);
        assert_eq!(join(Relation::Descendant, Plain, &[0], &all), [1, 2, 3]);
        assert_eq!(join(Relation::Ancestor, Plain, &[2], &all), [0, 1]);
        assert_eq!(join(Relation::Sibling, Plain, &all, &all), [1, 3]);
        assert_eq!(join(Relation::Child, Negated, &all, &all), [0, 4]);
        assert_eq!(join(Relation::Child, Negated, &[], &[2]), [2]);
        assert_eq!(join(Relation::Child, Union, &[0], &[2, 3]), [0, 3]);
        assert_eq!(join(Relation::Sibling, Union, &[1], &[1, 3]), [1, 3]);
        assert_eq!(
            join(Relation::Descendant, Union, &[4], &all),
            [] as [usize; 0]
        );
    }
}
