//! The Python interpreter of this process, if there is one: as much of its C API as it takes to run
//! a few lines, looked up by name, since the interpreter may be a library or the program itself.
//!
//! Names and types are those of the stable documentation of CPython 3.8 to 3.14.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::mem::transmute;
use std::ptr;

use crate::linker;

/// A `PyObject`.
#[repr(C)]
pub struct Object {
    _opaque: [u8; 0],
}

/// What Python calls: a method of an object, with its arguments.
pub type Function = unsafe extern "C-unwind" fn(*mut Object, *mut Object) -> *mut Object;

/// A `PyMethodDef`, which Python keeps a pointer to.
#[repr(C)]
pub struct Method {
    /// Its name.
    pub name: *const c_char,
    /// What is called.
    pub function: Function,
    /// Which arguments it takes.
    pub flags: c_int,
    /// Its documentation, or null.
    pub documentation: *const c_char,
}

// SAFETY: it is never written to.
unsafe impl Sync for Method {}

/// `METH_NOARGS`
pub const NO_ARGUMENTS: c_int = 4;
/// `Py_file_input`
const FILE_INPUT: c_int = 257;

/// From `name: type` make the table and its look-up.
macro_rules! api {
    ($($(#[doc = $help:literal])+ $field:ident = $name:literal: $type:ty;)+) => {
        /// The functions of the interpreter. All but the first four want the interpreter's lock.
        ///
        /// They are called as `C-unwind`: a thread that wants the lock when the interpreter is gone is
        /// ended by unwinding.
        #[derive(Clone, Copy)]
        pub struct Python {
            $($(#[doc = $help])+ $field: $type,)+
            /// `Py_IsFinalizing`, which has had another name.
            is_finalizing: unsafe extern "C-unwind" fn() -> c_int,
        }

        impl Python {
            /// The interpreter, if the process has one whose names are to be found.
            pub fn find() -> Option<Self> {
                let finalizing = [c"Py_IsFinalizing", c"_Py_IsFinalizing"];
                let is_finalizing = finalizing.into_iter().find_map(look_up)?;
                Some(Self {
                    // SAFETY: the documentation gives the function of that name this type.
                    $($field: unsafe { transmute::<*mut c_void, $type>(look_up($name)?) },)+
                    // SAFETY: as above.
                    is_finalizing: unsafe {
                        transmute::<*mut c_void, unsafe extern "C-unwind" fn() -> c_int>(is_finalizing)
                    },
                })
            }
        }
    };
}

api! {
    /// Whether there is an interpreter, yet and still.
    is_initialized = c"Py_IsInitialized": unsafe extern "C-unwind" fn() -> c_int;
    /// Takes the interpreter's lock.
    ensure = c"PyGILState_Ensure": unsafe extern "C-unwind" fn() -> c_int;
    /// Lets it go.
    release = c"PyGILState_Release": unsafe extern "C-unwind" fn(c_int);
    /// Lets the lock go for a while.
    save_thread = c"PyEval_SaveThread": unsafe extern "C-unwind" fn() -> *mut c_void;
    /// And takes it again.
    restore_thread = c"PyEval_RestoreThread": unsafe extern "C-unwind" fn(*mut c_void);
    /// The names that all code sees; borrowed.
    builtins = c"PyEval_GetBuiltins": unsafe extern "C-unwind" fn() -> *mut Object;
    /// A new, empty dictionary.
    new_dictionary = c"PyDict_New": unsafe extern "C-unwind" fn() -> *mut Object;
    /// Adds to it.
    set_item = c"PyDict_SetItemString":
        unsafe extern "C-unwind" fn(*mut Object, *const c_char, *mut Object) -> c_int;
    /// A function for Python.
    new_function = c"PyCFunction_NewEx":
        unsafe extern "C-unwind" fn(*const Method, *mut Object, *mut Object) -> *mut Object;
    /// Runs source text.
    run_string = c"PyRun_String":
        unsafe extern "C-unwind" fn(*const c_char, c_int, *mut Object, *mut Object) -> *mut Object;
    /// A number.
    from_long = c"PyLong_FromLong": unsafe extern "C-unwind" fn(c_long) -> *mut Object;
    /// Forgets an exception.
    clear_error = c"PyErr_Clear": unsafe extern "C-unwind" fn();
    /// One reference less; of null, nothing.
    forget = c"Py_DecRef": unsafe extern "C-unwind" fn(*mut Object);
}

fn look_up(name: &CStr) -> Option<*mut c_void> {
    let found = linker::find(libc::RTLD_DEFAULT, name);
    (!found.is_null()).then_some(found)
}

impl Python {
    /// Whether the interpreter is there, and not about to go.
    pub fn is_up(&self) -> bool {
        // SAFETY: both only look at flags, and may be called at any time.
        unsafe { (self.is_initialized)() != 0 && (self.is_finalizing)() == 0 }
    }

    /// Calls `body` with the interpreter's lock. Nothing that wants dropping may be alive in the
    /// caller: the thread may end in here.
    ///
    /// # Safety
    /// The interpreter must be [up](Self::is_up), and stay so until `body` is through.
    pub unsafe fn locked(&self, body: impl FnOnce(&Self)) {
        // SAFETY: the interpreter is initialised, says the caller.
        let state = unsafe { (self.ensure)() };
        body(self);
        // SAFETY: the state is that of the call above, and this is the same thread.
        unsafe { (self.release)(state) };
    }

    /// Runs `source` as a module of its own, with `names`, whose references it takes. Tells whether it
    /// got to its end.
    ///
    /// # Safety
    /// The thread holds the interpreter's lock, and the objects are Python's.
    pub unsafe fn run(&self, source: &CStr, names: &[(&CStr, *mut Object)]) -> bool {
        // SAFETY: the lock is held. A null object makes what is called fail, and is checked for.
        unsafe {
            let space = (self.new_dictionary)();
            let mut fine = !space.is_null()
                && (self.set_item)(space, c"__builtins__".as_ptr(), (self.builtins)()) == 0;
            for &(name, object) in names {
                fine =
                    fine && !object.is_null() && (self.set_item)(space, name.as_ptr(), object) == 0;
                (self.forget)(object);
            }
            let result = if fine {
                (self.run_string)(source.as_ptr(), FILE_INPUT, space, space)
            } else {
                ptr::null_mut()
            };
            (self.clear_error)();
            (self.forget)(result);
            (self.forget)(space);
            !result.is_null()
        }
    }

    /// `method` as an object of Python's; null if that fails.
    ///
    /// # Safety
    /// The thread holds the interpreter's lock.
    pub unsafe fn function(&self, method: &'static Method) -> *mut Object {
        // SAFETY: the lock is held, and the method is there for ever.
        unsafe { (self.new_function)(method, ptr::null_mut(), ptr::null_mut()) }
    }

    /// A number as an object of Python's; null if that fails.
    ///
    /// # Safety
    /// The thread holds the interpreter's lock.
    pub unsafe fn number(&self, value: c_long) -> *mut Object {
        // SAFETY: the lock is held.
        unsafe { (self.from_long)(value) }
    }

    /// Calls `body` without the interpreter's lock, which the thread holds before and after.
    ///
    /// # Safety
    /// The thread holds the interpreter's lock.
    pub unsafe fn unlocked(&self, body: impl FnOnce()) {
        // SAFETY: the lock is held.
        let state = unsafe { (self.save_thread)() };
        body();
        // SAFETY: the state is that of the call above.
        unsafe { (self.restore_thread)(state) };
    }
}
